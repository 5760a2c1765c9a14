"""`holdfast send`: send one text, and continue after a crash."""

from __future__ import annotations

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
from holdfast.operating.people import same_name
from holdfast.operating.refused import because
from holdfast.transfer import LONGEST_TEXT
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast_journal import FlowRow

BATCH = "send"
"""The batch of everything that is sent by hand."""


@click.command()
@click.argument("text", required=False)
@click.option(
    "--file",
    "path",
    metavar="FILE",
    help="Send the text in this file, byte for byte; - sends standard input, byte for byte too.",
)
@click.option(
    "--to",
    metavar="WHO",
    help="Who the text is for. The same text for another WHO gets another code.",
)
@click.option("--again", is_flag=True, help="Send this text even if it was sent before.")
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
    text: str | None,
    path: str | None,
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
    """Send one text.

    Sends TEXT, the text in a file, or standard input without its final line end. Prints the code
    for 'wormhole receive' at the other end. After a crash or Ctrl-C, start the same command again:
    it continues with the same code, and says so once the text has been collected. To send the same
    text to another person meanwhile, give --to. While the command runs, other users of this machine
    can see TEXT in the list of processes; they cannot see a file or standard input.
    """
    from holdfast.cli.one_flow import finish
    from holdfast.cli.pictures import require_pictures
    from holdfast.cli.serving import serving
    from holdfast.flows.shipped.provision import SendText
    from holdfast.operating.one_flow import rows_of, start_or_resume

    secret = _text(text, path)
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


def _text(text: str | None, file: str | None) -> str:
    """Return the text to send. Raises Failure."""
    from holdfast.transfer.text import LONGEST_ENCODED, encoded_size, without_line_end

    if text is not None and file is not None:
        raise Failure("give the text or --file, not both")
    if text is None:
        where = "standard input" if file in (None, "-") else str(file)
        try:
            data = _typed() if file in (None, "-") else _read(Path(str(file)))
        except OSError as error:
            raise because(where, error) from None
        except ValueError:  # a NUL in the path
            raise Failure(f"{where}: this cannot be the name of a file") from None
        text = _decoded(data, where)
        if file is None:
            text = without_line_end(text)
    if not text:
        raise Failure("there is no text to send")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Failure("the text is not UTF-8") from None
    if size > LONGEST_TEXT:
        raise Failure(
            f"the text is longer than {LONGEST_TEXT} bytes, more than some recipients' clients take"
        )
    if (encoded := encoded_size(text)) > LONGEST_ENCODED:
        raise Failure(
            f"the text takes {encoded:,} bytes in a message (line ends and the like count more"
            f" than once); the limit is {LONGEST_ENCODED:,}, because some recipients' clients drop"
            " larger messages"
        )
    return text


def _decoded(data: bytes, where: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        if len(data) > LONGEST_TEXT and error.start >= LONGEST_TEXT - 3:
            # Cut inside a character; it is too long in any case.
            return data[: error.start].decode() + "…"
        problem = (
            f"{where}: not UTF-8 at byte {error.start + 1}, and a text message holds nothing else:"
            " encode it, with base64 for one, or send the file with 'wormhole send'"
        )
    # Raised outside the handler: the decoder's own error holds the text.
    raise Failure(problem)


_ENOUGH = LONGEST_TEXT + len("\r\n") + 1
"""Bytes after which it is certain that a text is too long, even without its line end."""


def _typed() -> bytes:
    if sys.stdin is None:
        raise Failure("there is no text to send: standard input is closed")
    if sys.stdin.isatty():
        say.err("Type the text; Ctrl-D on a line of its own ends it.")
    return sys.stdin.buffer.read(_ENOUGH)


def _read(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_ENOUGH)


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
