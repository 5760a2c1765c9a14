"""`holdfast ssh`: one person's public SSH key in another person's `authorized_keys`."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli import say
from holdfast.cli.coding import code_options
from holdfast.cli.durations import Duration
from holdfast.cli.failure import Failure
from holdfast.cli.settings import class_appid_option, db_option, deadline_option, relay_option
from holdfast.cli.tor import AskedTor, tor_options
from holdfast.operating.people import same_name
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.operating.coding import AskedCode
    from holdfast.operating.own_public_key import OwnKey
    from holdfast_journal import FlowRow

BATCH = "ssh"
"""The batch of both sides."""

for_option = click.option(
    "--for",
    "seconds",
    type=Duration(),
    metavar="DURATION",
    help="Stop after this long at the latest.",
)


@click.group()
def command() -> None:
    """Give somebody access by SSH, or get it.

    Whoever has the account runs 'holdfast ssh invite', and passes on the code. The other person
    runs 'holdfast ssh accept CODE', and can log in. Either side may use 'wormhole ssh' instead.
    """


@command.command()
@click.option(
    "--user",
    "-u",
    metavar="USER",
    help="Add the key to the authorized_keys of USER; as root.",
    show_default="you",
)
@click.option(
    "--from",
    "whom",
    metavar="WHO",
    help="Whose key it will be. Another WHO gets another code.",
)
@click.option("--yes", "-y", is_flag=True, help="Add the key that comes without asking.")
@for_option
@code_options
@deadline_option
@tor_options
@db_option
@relay_option
@class_appid_option
def invite(
    user: str | None,
    whom: str | None,
    yes: bool,
    seconds: float | None,
    code: AskedCode,
    deadline: float | None,
    tor: AskedTor,
    db: str,
    relay: str,
    appid: str | None,
) -> None:
    """Let somebody log in here: add their public key to ~/.ssh/authorized_keys.

    Prints the code for 'wormhole ssh accept' or 'holdfast ssh accept' at the other end. When a key
    comes, you see its fingerprint and are asked; then it is added, once, and the other side is told
    that it is there. After a crash or Ctrl-C, start the same command again: it continues with the
    same code.
    """
    from holdfast.cli.authorizing import Authorizing
    from holdfast.cli.one_flow import finish
    from holdfast.cli.question import Question
    from holdfast.cli.sending import SendWatcher
    from holdfast.cli.serving import serving
    from holdfast.flows.shipped.ssh import APPID, SshInvite
    from holdfast.operating.audit import operator
    from holdfast.operating.authorized_keys import account_of, check
    from holdfast.operating.collecting import accept_key_command
    from holdfast.operating.one_flow import Route, rows_of, start_or_resume
    from holdfast.operating.service import Work

    account = account_of(user)
    check(account)
    marks = (*(() if whom is None else (same_name(whom),)), *code.marks, *tor.marks)
    with serving(db, Work([SshInvite.kind], tor=tor.found())) as service:
        fingerprint = service.journal.fingerprint(
            "ssh-invite", str(account.path), relay, appid or APPID, *marks
        )
        before = rows_of(service.journal, BATCH, fingerprint)
        if before and before[-1].status == FlowStatus.DONE:
            say.err(
                f"holdfast: the last invitation was accepted{_when(before[-1])}; this is another"
            )
        if code.notice is not None:
            say.tell(code.notice)
        name = start_or_resume(
            service.journal,
            BATCH,
            SshInvite(yes=yes, coding=code.flow_value()),
            fingerprint,
            operator(),
            Route(relay, appid or APPID, tor.wanted),
            deadline=None if deadline is None else time.time() + deadline,
        )
        question = Question()
        Authorizing(account, yes, question).register()
        other_end = partial(accept_key_command, relay=relay, appid=appid)
        watcher = SendWatcher(name, question, None, other_end)
        try:
            ending = service.run(watcher.watch, batch=BATCH, names={name}, seconds=seconds)
        finally:
            question.leave()
    finish(watcher.row, ending)


@command.command()
@click.argument("code", required=False)
@click.option(
    "--key-file",
    "-F",
    "file",
    metavar="FILE|DIR",
    type=click.Path(path_type=Path),
    help="The public key, or the directory with one. A private key is refused.",
    show_default="~/.ssh",
)
@click.option("--yes", "-y", is_flag=True, help="Send the key without asking.")
@for_option
@tor_options
@db_option
@relay_option
@class_appid_option
def accept(
    code: str | None,
    file: Path | None,
    yes: bool,
    seconds: float | None,
    tor: AskedTor,
    db: str,
    relay: str,
    appid: str | None,
) -> None:
    """Get access by SSH: send your public key to whoever gave you the CODE.

    Without CODE you are asked for it. Of several keys in ~/.ssh you choose one; you see its
    fingerprint, and are asked before anything is sent. The command ends when the other side has
    added the key. After a crash or Ctrl-C, start the same command again: it continues.
    """
    from holdfast.cli.one_flow import finish
    from holdfast.cli.prompting import checked_or_asked
    from holdfast.cli.question import Question
    from holdfast.cli.sending import SendWatcher
    from holdfast.cli.serving import serving
    from holdfast.flows.shipped.coding import Coding
    from holdfast.flows.shipped.ssh import APPID, SshAccept
    from holdfast.operating.audit import operator
    from holdfast.operating.one_flow import Route, rows_of, start_or_resume
    from holdfast.operating.own_public_key import in_directory, named
    from holdfast.operating.service import Work

    keys = in_directory(Path("~/.ssh").expanduser()) if file is None else named(file.absolute())
    through = tor.found()
    code = checked_or_asked(code, relay, appid or APPID, through, "holdfast ssh accept")
    with serving(db, Work([SshAccept.kind], tor=through)) as service:
        fingerprint = service.journal.fingerprint("ssh-accept", code, relay, appid or APPID)
        before = rows_of(service.journal, BATCH, fingerprint)
        if before and before[-1].status == FlowStatus.DONE:
            when = _when(before[-1])
            say.err(f"holdfast: a key was sent with this code{when}, and the other side has it")
            return
        line = ""
        if not before or before[-1].finished_at is not None:
            line = _chosen(keys, yes=yes).key.line
        name = start_or_resume(
            service.journal,
            BATCH,
            SshAccept(line=line, coding=Coding(code=code)),
            fingerprint,
            operator(),
            Route(relay, appid or APPID, tor.wanted),
        )
        watcher = SendWatcher(name, Question(), None, str)
        ending = service.run(watcher.watch, batch=BATCH, names={name}, seconds=seconds)
    finish(watcher.row, ending, then="ask for a new code")
    say.err("sent: the other side has the key")


def _chosen(found: Sequence[OwnKey], *, yes: bool) -> OwnKey:
    """Return the key that is to be sent, which the user has agreed to. Raises Failure."""
    from holdfast.cli.authorizing import in_a_line
    from holdfast.cli.question import somebody_is_there, typed
    from holdfast.cli.verifying import understood

    can_ask = somebody_is_there()
    if not can_ask and (len(found) > 1 or not yes):
        need = "--key-file says which key" if len(found) > 1 else "--yes sends the key"
        raise Failure(f"nobody can be asked here, and nothing was sent: {need}")
    own = found[0] if len(found) == 1 else _one_of(found)
    say.err(f"your public key: {in_a_line(own.key)}")
    if not yes and not typed("Send it? [y/N] ", understood):
        raise Failure("nothing was sent")
    return own


def _one_of(found: Sequence[OwnKey]) -> OwnKey:
    from holdfast.cli.authorizing import in_a_line
    from holdfast.cli.question import typed

    for number, each in enumerate(found, 1):
        say.err(f"  {number}  {each.path.name}: {in_a_line(each.key)}")

    def understood(line: str) -> OwnKey | None:
        text = line.strip()
        is_one = text.isascii() and text.isdigit() and len(text) < 4
        return found[int(text) - 1] if is_one and 1 <= int(text) <= len(found) else None

    own = typed(f"Which one? [1-{len(found)}] ", understood)
    if own is None:
        raise Failure("no key was chosen, and nothing was sent")
    return own


def _when(row: FlowRow) -> str:
    from holdfast.cli.brief import timestamp

    return "" if row.finished_at is None else f" at {timestamp(row.finished_at)}"
