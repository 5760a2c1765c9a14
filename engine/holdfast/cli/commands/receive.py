"""`holdfast receive`: receive a file, a folder or a text, and continue after a crash."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli import say
from holdfast.cli.durations import Duration
from holdfast.cli.failure import Failure, Unfinished
from holdfast.cli.recording import dump_timing_option, recorder
from holdfast.cli.settings import appid_option, db_option, relay_option
from holdfast.cli.tor import AskedTor, tor_options
from holdfast.cli.verifying import verify_option
from holdfast.cli.ways import AskedWays, ways_options
from holdfast.operating.printable import printable, quoted
from holdfast.operating.refused import because
from holdfast.plain_reactor import import_plain_reactor
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast.cli.handing_over import HandingOver
    from holdfast.cli.question import Question
    from holdfast.cli.transfers import Transfer
    from holdfast_journal import FlowRow

BATCH = "receive"
"""The batch of everything that is received by hand."""


@click.command()
@click.argument("code", required=False)
@click.option(
    "--output-dir",
    metavar="DIR",
    type=click.Path(),
    help="Put a file or folder into this directory, under the name that it has.",
    show_default="the current directory",
)
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(allow_dash=True),
    help="Put what comes here: a file, a folder, or a text byte for byte, with mode 0600. - is"
    " standard output, for a text: byte for byte unless that is a terminal.",
)
@click.option(
    "--accept/--ask",
    default=False,
    help="Take a file or folder without asking, under another name if its own exists; or ask.",
    show_default="ask",
)
@click.option(
    "--for",
    "seconds",
    type=Duration(),
    metavar="DURATION",
    help="Stop after this long at the latest.",
)
@verify_option
@ways_options
@dump_timing_option
@tor_options
@db_option
@relay_option
@appid_option
def command(
    code: str | None,
    output_dir: str | None,
    out: str | None,
    accept: bool,
    seconds: float | None,
    verify: bool,
    ways: AskedWays,
    dump_timing: Path | None,
    tor: AskedTor,
    db: str,
    relay: str,
    appid: str,
) -> None:
    """Receive a file, a folder or a text.

    CODE is what the sender gave you. Without it you are asked for it, Tab completes what you type,
    and other users of this machine do not see it in the list of processes. Of a file or folder you
    are shown the name and the size, and asked; nothing that exists is replaced unless you say so. A
    text is printed. The sender is told that it has arrived only when it has been printed, or is
    safely in its place. After a crash or Ctrl-C, start the same command again, with the same code:
    it continues with the same exchange.

    If standard output is not a terminal, the path of what was received is printed there.
    """
    if not tor.wanted:  # whose package needs TLS
        import_plain_reactor()
    from holdfast.cli.asking import Asking
    from holdfast.cli.handing_over import HandingOver
    from holdfast.cli.one_flow import finish
    from holdfast.cli.prompting import checked_or_asked
    from holdfast.cli.question import Question
    from holdfast.cli.serving import serving
    from holdfast.cli.status_line import StatusLine
    from holdfast.cli.transfers import Transfer
    from holdfast.cli.verifying import Verifying
    from holdfast.flows.shipped.receive import ReceiveHere
    from holdfast.flows.shipped.verifying import ReceiveVerified
    from holdfast.operating.audit import operator
    from holdfast.operating.one_flow import Route, rows_of, start_or_resume
    from holdfast.operating.service import EVERYWHERE, ONE_COMMANDS, Work

    through = tor.found()
    code = checked_or_asked(code, relay, appid, through, "holdfast receive")
    target = None if out in (None, "-") else _absolute(str(out), "--out")
    directory = _directory(output_dir, out)
    kinds, timing = (*EVERYWHERE, *ONE_COMMANDS), recorder(dump_timing)
    with serving(db, Work(kinds, timing=timing, tor=through)) as service:
        fingerprint = service.journal.fingerprint("receive", code, relay, appid, str(target))
        before = rows_of(service.journal, BATCH, fingerprint)
        if before and before[-1].status == FlowStatus.DONE:
            _already(before[-1], target)
            return
        status, question = StatusLine(), Question()
        asking = Asking(accept, status, question)
        handing_over = HandingOver(status, exact=out == "-", quiet=target is not None)
        transfer = Transfer("receiver", status, lambda: question.is_open)
        if before and before[-1].finished_at is None:
            _check_same(before[-1], verify, tor)
            transfer.continues(before[-1])
        elif target is not None:
            _check(target)
        flow = (ReceiveVerified if verify else ReceiveHere)(
            code=code,
            directory=str(directory),
            out=None if target is None else str(target),
            ways=ways.flow_value(),
        )
        name = start_or_resume(
            service.journal,
            BATCH,
            flow,
            fingerprint,
            operator(),
            Route(relay, appid, tor.wanted),
        )
        asking.register()
        Verifying(status, question).register()
        handing_over.register()
        watcher = _Watcher(name, question, handing_over, transfer)
        try:
            ending = service.run(watcher.watch, batch=BATCH, names={name}, seconds=seconds)
        finally:
            status.clear()
            question.leave()
    finish(watcher.row, ending, then="ask the sender for a new code")
    if target is not None and not handing_over.told:
        say.err(f"received: {printable(str(target))}")


class _Watcher:
    """Shows how it goes, and notices the end."""

    def __init__(
        self, name: str, question: Question, handing_over: HandingOver, transfer: Transfer
    ) -> None:
        self.row: FlowRow | None = None
        self._name = name
        self._question = question
        self._handing_over = handing_over
        self._transfer = transfer

    def watch(self, moved: Sequence[FlowRow]) -> bool:
        """Hear which flows have moved; return whether it is over."""
        problem = self._question.unanswered or self._handing_over.problem
        if problem is not None:
            raise Unfinished(problem)
        self.row = next((row for row in reversed(moved) if row.name == self._name), self.row)
        if self.row is None:
            return False
        self._transfer.show(self.row, time.monotonic())
        return self.row.finished_at is not None


def _check_same(row: FlowRow, verify: bool, tor: AskedTor) -> None:
    """See that an exchange can go on as it was started, and as its user relies on.

    Raises Failure.
    """
    if not tor.wanted and (row.published or {}).get("tor"):
        raise Failure("this exchange was started with --tor, and goes on with --tor only")
    if verify and row.kind == "receive-here":
        raise Failure(
            "--verify: this exchange was started without it, and goes on as it was; without"
            " --verify this command continues it, and 'holdfast cancel' ends it"
        )


def _already(row: FlowRow, target: Path | None) -> None:
    from holdfast.cli.brief import timestamp

    where = "received" if target is None else f"written to {target}"
    when = "" if row.finished_at is None else f" at {timestamp(row.finished_at)}"
    say.err(f"holdfast: what this code brought was {printable(where)}{when}")


def _check(target: Path) -> None:
    """Find out, before anything starts, whether the file can be made. Raises Failure."""
    from holdfast.files import check_new

    if target.exists() or target.is_symlink():
        raise Failure(f"--out: {target} exists already; move it away or choose another name")
    if not target.parent.is_dir():
        raise Failure(f"--out: there is no directory {target.parent}")
    try:
        check_new(target)
    except OSError as error:
        raise because(f"--out: {target}", error) from None


def _directory(output_dir: str | None, out: str | None) -> Path:
    """Return the directory for a file or folder. Raises Failure."""
    if output_dir is None:
        try:
            return Path.cwd()
        except OSError as error:
            raise because("the current directory", error) from None
    if out is not None:
        raise Failure("give --out or --output-dir, not both")
    directory = _absolute(output_dir, "--output-dir")
    if not directory.is_dir():
        raise Failure(f"--output-dir: there is no directory {quoted(str(directory), 300)}")
    return directory


def _absolute(path: str, where: str) -> Path:
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        raise Failure(f"{where}: {quoted(path)}: there is no such home directory") from None
