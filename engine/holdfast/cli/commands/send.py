"""`holdfast send`: send files, a folder or a text, and continue after a crash."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli import say
from holdfast.cli.coding import code_options
from holdfast.cli.durations import Duration
from holdfast.cli.failure import Failure
from holdfast.cli.hooking import hook_options
from holdfast.cli.limiting import limit_options
from holdfast.cli.recording import dump_timing_option, recorder
from holdfast.cli.settings import appid_option, db_option, deadline_option, relay_option
from holdfast.cli.tor import AskedTor, tor_options
from holdfast.cli.verifying import verify_option
from holdfast.cli.ways import AskedWays, ways_options
from holdfast.operating.people import same_name
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast.cli.parcels import AskedFlow, Parcel
    from holdfast.operating.coding import AskedCode
    from holdfast.operating.hooks import AskedHooks
    from holdfast.operating.sharing import Limits
    from holdfast_journal import FlowRow, SqlJournal

BATCH = "send"
"""The batch of everything that is sent by hand."""


@click.command()
@click.argument("paths", metavar="[FILE|DIR|-]...", nargs=-1, type=click.Path(allow_dash=True))
@click.option(
    "--text",
    metavar="TEXT",
    help="Send this text instead of a file; - is standard input, without its final line end.",
)
@click.option(
    "--text-file",
    metavar="FILE",
    type=click.Path(allow_dash=True),
    help="Send the text in this file, byte for byte; - is standard input, byte for byte too.",
)
@click.option("--file", "old_name", hidden=True)
@click.option(
    "--name",
    metavar="NAME",
    help="What the file or folder is called at the other end; by default its own name.",
)
@click.option(
    "--to",
    metavar="WHO",
    help="Who it is for. The same for another WHO gets another code.",
)
@click.option("--again", is_flag=True, help="Send it even if it was sent before.")
@click.option("--qr", is_flag=True, help="On a terminal, show the code as a QR code too.")
@click.option(
    "--for",
    "seconds",
    type=Duration(),
    metavar="DURATION",
    help="Stop after this long at the latest.",
)
@click.option(
    "--code",
    "given",
    metavar="CODE",
    help="Use this code, which the recipient has already, instead of making one. Other users of"
    " this machine can see it in the list of processes.",
)
@code_options
@hook_options
@deadline_option
@verify_option
@ways_options
@dump_timing_option
@limit_options
@tor_options
@db_option
@relay_option
@appid_option
def command(
    paths: tuple[str, ...],
    text: str | None,
    text_file: str | None,
    old_name: str | None,
    name: str | None,
    to: str | None,
    again: bool,
    qr: bool,
    seconds: float | None,
    code: AskedCode,
    hooks: AskedHooks,
    deadline: float | None,
    verify: bool,
    ways: AskedWays,
    dump_timing: Path | None,
    limits: Limits,
    tor: AskedTor,
    db: str,
    relay: str,
    appid: str,
) -> None:
    """Send files, a folder or a text.

    One FILE is sent as a file; a DIR, or several of them, as one folder; - is standard input, as a
    file. Without any of these, a text is sent: that of --text, or what you type, or pipe into the
    command, without its final line end. Prints the code for 'wormhole receive' at the other end.

    After a crash or Ctrl-C, start the same command again: it continues with the same code, and says
    so once the recipient has it. To send the same to another person meanwhile, give --to. While the
    command runs, other users of this machine can see TEXT in the list of processes; they cannot see
    a file or standard input.
    """
    from holdfast.cli.one_flow import finish
    from holdfast.cli.parcels import AskedFlow
    from holdfast.cli.pictures import Pictures
    from holdfast.cli.question import Question
    from holdfast.cli.sending import SendWatcher
    from holdfast.cli.serving import serving
    from holdfast.cli.transfers import Transfer
    from holdfast.cli.verifying import Verifying
    from holdfast.operating.audit import operator
    from holdfast.operating.collecting import receive_command
    from holdfast.operating.kept import Kept
    from holdfast.operating.one_flow import Route, rows_of, start_or_resume
    from holdfast.operating.qr import require_qr
    from holdfast.operating.service import EVERYWHERE, ONE_COMMANDS

    if qr:
        require_qr()
    hooks.check_secret()
    whom = (*(() if to is None else (same_name(to),)), *code.marks, *tor.marks)
    if verify:
        whom = (*whom, "verify")
    texts = (text, text_file if text_file is not None else old_name)
    timing = recorder(dump_timing)
    parcels = _parcel(paths, texts, name, ways, AskedFlow(code, verify), db)
    with (
        parcels as parcel,
        serving(
            db, serve=(*EVERYWHERE, *ONE_COMMANDS), timing=timing, tor=tor.found(), limits=limits
        ) as service,
    ):
        _sweep(service.journal, db)
        fingerprint = service.journal.fingerprint(*parcel.marks, relay, appid, *whom)
        before = rows_of(service.journal, BATCH, fingerprint)
        if before and before[-1].status == FlowStatus.DONE and not again:
            _already(parcel, before[-1])
            return
        question = Question()
        transfer = Transfer("sender", quiet=lambda: question.is_open)
        if before and before[-1].finished_at is None:
            _goes_on(parcel, before[-1])
            transfer.continues(before[-1])
        elif code.notice is not None:
            say.tell(code.notice)
        flow_name = start_or_resume(
            service.journal,
            BATCH,
            parcel.flow(fingerprint),
            fingerprint,
            operator(),
            Route(relay, appid, tor.wanted),
            deadline=None if deadline is None else time.time() + deadline,
            hooks=hooks.words,
        )
        parcel.begun(fingerprint)
        Verifying(transfer.status, question).register()
        shown = None if parcel.is_text else transfer
        kept = Kept(relay, appid, None)
        pictures = Pictures(kept) if qr and sys.stdout.isatty() else None
        other_end = partial(receive_command, relay=relay, appid=appid)
        watcher = SendWatcher(flow_name, question, shown, other_end, pictures)
        try:
            ending = service.run(watcher.watch, batch=BATCH, names={flow_name}, seconds=seconds)
        finally:
            watcher.end()
            question.leave()
        _sweep(service.journal, db)
    finish(watcher.row, ending)
    say.err("sent: the recipient has it")


def _parcel(
    paths: Sequence[str],
    texts: tuple[str | None, str | None],
    name: str | None,
    ways: AskedWays,
    asked: AskedFlow,
    db: str,
) -> contextlib.AbstractContextManager[Parcel]:
    from holdfast.cli.parcels import file_parcel, text_parcel
    from holdfast.operating.spooling import spool_directory

    if not paths:
        if name is not None or ways.asked:
            raise Failure(f"{ways.asked or '--name'}: this is for files, and a text is sent")
        return contextlib.nullcontext(text_parcel(*texts, asked))
    if texts != (None, None):
        raise Failure("give files or a text, not both")
    return file_parcel(paths, name, ways.flow_value(), asked, spool_directory(db))


def _sweep(journal: SqlJournal, db: str) -> None:
    """Remove what was standard input, and is not needed any more."""
    from holdfast.operating.one_flow import rows_of
    from holdfast.operating.refused import Refused
    from holdfast.operating.spooling import spool_directory, sweep

    def needed(fingerprint: str) -> bool:
        # One that failed can be tried again; of one that went well nothing else is left either.
        return any(row.published is not None for row in rows_of(journal, BATCH, fingerprint))

    try:
        sweep(spool_directory(db), needed)
    except Refused as refused:  # what is sent now does not depend on it
        say.tell(refused.words)


def _already(parcel: Parcel, row: FlowRow) -> None:
    from holdfast.cli.tables import timestamp

    when = "" if row.finished_at is None else f" at {timestamp(row.finished_at)}"
    say.err(f"holdfast: {parcel.called} was collected{when}; --again sends it once more")


def _goes_on(parcel: Parcel, row: FlowRow) -> None:
    from holdfast.cli.tables import timestamp

    say.err(
        f"holdfast: continuing with the code of {parcel.called}, started at"
        f" {timestamp(row.created_at)}; for another person, --to WHO makes another code"
    )
