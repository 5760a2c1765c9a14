"""`holdfast send`: send files, a folder or a text, and continue after a crash."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
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
from holdfast.plain_reactor import import_plain_reactor

if TYPE_CHECKING:
    from holdfast.cli.parcels import AskedFlow, Parcel
    from holdfast.operating.coding import AskedCode
    from holdfast.operating.hooks import AskedHooks
    from holdfast.operating.sharing import Limits
    from holdfast_journal import SqlJournal


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
    metavar="WHO|NUMBER",
    help="Who it is for: the same for another WHO gets another code. Or a number: send it to so"
    " many people, each under a code of their own.",
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
    so once the recipient has it. To send the same to another person meanwhile, give --to; to send
    it to five people at once, --to 5. While the command runs, other users of this machine can see
    TEXT in the list of processes; they cannot see a file or standard input.
    """
    if not tor.wanted:  # whose package needs TLS
        import_plain_reactor()
    from holdfast.cli.errand import Errand
    from holdfast.cli.many import people_in
    from holdfast.cli.parcels import AskedFlow
    from holdfast.cli.pictures import Pictures
    from holdfast.cli.serving import serving
    from holdfast.operating.kept import Kept
    from holdfast.operating.one_flow import Route
    from holdfast.operating.qr import require_qr
    from holdfast.operating.service import EVERYWHERE, ONE_COMMANDS, Work

    if qr:
        require_qr()
    hooks.check_secret()
    people = people_in(to)
    if people > 1 and (verify or code.given is not None):
        option = "--verify" if verify else "--code"
        raise Failure(f"{option}: this is for one person, and --to says {people}")
    whom = (*(() if to is None else (same_name(to),)), *code.marks, *tor.marks)
    if verify:
        whom = (*whom, "verify")
    texts = (text, text_file if text_file is not None else old_name)
    timing = recorder(dump_timing)
    parcels = _parcel(paths, texts, name, ways, AskedFlow(code, verify), db)
    with (
        parcels as parcel,
        serving(
            db,
            Work((*EVERYWHERE, *ONE_COMMANDS), timing=timing, tor=tor.found(), limits=limits),
        ) as service,
    ):
        _sweep(service.journal, db)
        errand = Errand(
            service,
            parcel,
            (relay, appid, *whom),
            Route(relay, appid, tor.wanted),
            deadline=None if deadline is None else time.time() + deadline,
            hooks=hooks.words,
            again=again,
            seconds=seconds,
            notice=code.notice,
            pictures=Pictures(Kept(relay, appid, None)) if qr and sys.stdout.isatty() else None,
        )
        farewell = errand.to_one() if people == 1 else errand.to_many(people)
        _sweep(service.journal, db)
    if farewell is not None:
        farewell()


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
    from holdfast.cli.errand import BATCH
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
