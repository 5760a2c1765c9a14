"""`holdfast send`: send a text, and continue after a crash."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli import say
from holdfast.cli.durations import Duration
from holdfast.cli.failure import Failure
from holdfast.cli.recording import dump_timing_option, recorder
from holdfast.cli.settings import appid_option, db_option, deadline_option, relay_option
from holdfast.cli.texts import text_from
from holdfast.operating.people import same_name
from holdfast.operating.printable import printable, quoted
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast_journal import FlowRow

BATCH = "send"
"""The batch of everything that is sent by hand."""


@click.command()
@click.argument("paths", metavar="[FILE|DIR|-]...", nargs=-1)
@click.option(
    "--text",
    metavar="TEXT",
    help="Send this text; - is standard input, without its final line end.",
)
@click.option(
    "--text-file",
    metavar="FILE",
    help="Send the text in this file, byte for byte; - is standard input, byte for byte too.",
)
@click.option("--file", "old_name", hidden=True)
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
@deadline_option
@dump_timing_option
@db_option
@relay_option
@appid_option
def command(
    paths: tuple[str, ...],
    text: str | None,
    text_file: str | None,
    old_name: str | None,
    to: str | None,
    again: bool,
    qr: bool,
    seconds: float | None,
    deadline: float | None,
    dump_timing: Path | None,
    db: str,
    relay: str,
    appid: str,
) -> None:
    """Send a text.

    Without --text and --text-file, the text is what you type, or pipe into the command, without its
    final line end. Prints the code for 'wormhole receive' at the other end. After a crash or
    Ctrl-C, start the same command again: it continues with the same code, and says so once the text
    has been collected. To send the same text to another person meanwhile, give --to. While the
    command runs, other users of this machine can see TEXT in the list of processes; they cannot see
    a file or standard input.
    """
    from holdfast.cli.one_flow import finish
    from holdfast.cli.pictures import require_pictures
    from holdfast.cli.serving import serving
    from holdfast.flows.shipped.provision import SendText
    from holdfast.operating.one_flow import rows_of, start_or_resume

    if paths:
        _check_paths(paths)
        raise Failure("files cannot be sent yet; --text-file sends the text in one")
    secret = text_from(text, text_file if text_file is not None else old_name)
    if qr:
        require_pictures()
    whom = () if to is None else (same_name(to),)
    with serving(db, timing=recorder(dump_timing)) as service:
        fingerprint = service.journal.fingerprint("send", secret, relay, appid, *whom)
        before = rows_of(service.journal, BATCH, fingerprint)
        if before and before[-1].status == FlowStatus.DONE and not again:
            _already(before[-1])
            return
        if before and before[-1].finished_at is None:
            _goes_on(before[-1])
        name = start_or_resume(
            service.journal,
            BATCH,
            SendText(secret=secret),
            fingerprint,
            relay=relay,
            appid=appid,
            deadline=None if deadline is None else time.time() + deadline,
        )
        watcher = _Watcher(name, pictures=qr and sys.stdout.isatty())
        ending = service.run(watcher.watch, batch=BATCH, names={name}, seconds=seconds)
    finish(watcher.row, ending)
    say.err("sent: the recipient has it")


def _already(row: FlowRow) -> None:
    from holdfast.cli.tables import timestamp

    when = "" if row.finished_at is None else f" at {timestamp(row.finished_at)}"
    say.err(f"holdfast: this text was collected{when}; --again sends it once more")


def _goes_on(row: FlowRow) -> None:
    from holdfast.cli.tables import timestamp

    say.err(
        f"holdfast: continuing with the code of this text, started at"
        f" {timestamp(row.created_at)}; for another person, --to WHO makes another code"
    )


def _check_paths(paths: Sequence[str]) -> None:
    """Refuse what is not there, since it was probably meant as a text. Raises Failure."""
    for path in paths:
        if path != "-" and not os.path.lexists(path):
            words = printable(shlex.quote(" ".join(paths)), 200)
            raise Failure(f"there is no file {quoted(path)}; to send these words: --text {words}")


class _Watcher:
    """Prints the code once, and notices the end."""

    def __init__(self, name: str, *, pictures: bool) -> None:
        self.row: FlowRow | None = None
        self._name = name
        self._pictures = pictures
        self._shown: str | None = None

    def watch(self, moved: Sequence[FlowRow]) -> bool:
        from holdfast.cli.pictures import fitting_picture
        from holdfast.operating.standing import live_code

        for row in moved:
            if row.name != self._name:
                continue
            self.row = row
            code = live_code(row)
            if code is not None and code != self._shown:
                self._shown = code
                say.out(code)
                if self._pictures:
                    say.out(fitting_picture(code))
                say.err(f"on the other computer: wormhole receive {code}")
        return self.row is not None and self.row.finished_at is not None
