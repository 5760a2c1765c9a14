"""`holdfast receive`: receive one text, and continue after a crash."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli import say
from holdfast.cli.durations import Duration
from holdfast.cli.failure import Failure, Unfinished
from holdfast.cli.recording import dump_timing_option, recorder
from holdfast.cli.settings import appid_option, db_option, relay_option
from holdfast.operating.printable import printable, quoted
from holdfast.operating.refused import because
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast.flows.shipped.receive import Receive
    from holdfast_journal import FlowRow

BATCH = "receive"
"""The batch of everything that is received by hand."""

_PRINTING = 20 * 86400.0
"""Seconds that the reader of standard output may take before the text is printed again."""


@click.command()
@click.argument("code")
@click.option(
    "--out",
    metavar="FILE",
    help="Write the text to this file instead of printing it: byte for byte, whole or not at all,"
    " with mode 0600. - is standard output, byte for byte unless that is a terminal.",
)
@click.option(
    "--for",
    "seconds",
    type=Duration(),
    metavar="DURATION",
    help="Stop after this long at the latest.",
)
@dump_timing_option
@db_option
@relay_option
@appid_option
def command(
    code: str,
    out: str | None,
    seconds: float | None,
    dump_timing: Path | None,
    db: str,
    relay: str,
    appid: str,
) -> None:
    """Receive one text.

    CODE is what the sender gave you. The sender is told that the text has arrived only when it has
    been printed, or is safely in FILE. After a crash or Ctrl-C, start the same command again: it
    continues with the same exchange.
    """
    from holdfast.cli.one_flow import finish
    from holdfast.cli.serving import serving
    from holdfast.codes import validate
    from holdfast.errors import KeyFormatError
    from holdfast.flows.shipped.receive import ReceiveHere, ReceiveToFile
    from holdfast.operating.one_flow import rows_of, start_or_resume
    from holdfast.operating.service import EVERYWHERE, ONE_COMMANDS

    try:
        code = validate(code)
    except KeyFormatError as error:
        said = str(error).removesuffix(".")
        raise Failure(said[:1].lower() + said[1:]) from None
    target = None if out in (None, "-") else _target(str(out))
    served = EVERYWHERE if target else (*EVERYWHERE, ONE_COMMANDS)
    with serving(db, serve=served, timing=recorder(dump_timing)) as service:
        fingerprint = service.journal.fingerprint("receive", code, relay, appid, str(target))
        before = rows_of(service.journal, BATCH, fingerprint)
        if before and before[-1].status == FlowStatus.DONE:
            _already(before[-1], target)
            return
        if target is not None and not (before and before[-1].finished_at is None):
            _check(target)
        unprinted: list[OSError] = []
        flow: Receive = ReceiveHere(code=code)
        if target is not None:
            flow = ReceiveToFile(code=code, out=str(target))
        else:
            unprinted = _register_printer(exact=out == "-")
        name = start_or_resume(service.journal, BATCH, flow, fingerprint, relay=relay, appid=appid)
        rows: list[FlowRow] = []

        def watch(moved: Sequence[FlowRow]) -> bool:
            if unprinted:
                why = unprinted[0].strerror or type(unprinted[0]).__name__
                raise Unfinished(
                    f"the text is here, but standard output cannot be written: {why}; nothing is"
                    " lost: start the same command again to continue"
                )
            rows.extend(row for row in moved if row.name == name)
            return bool(rows) and rows[-1].finished_at is not None

        ending = service.run(watch, batch=BATCH, names={name}, seconds=seconds)
    finish(rows[-1] if rows else None, ending)
    if target is not None:
        say.err(f"received: {printable(str(target))}")


def _already(row: FlowRow, target: Path | None) -> None:
    from holdfast.cli.tables import timestamp

    where = "printed" if target is None else f"written to {target}"
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


def _target(out: str) -> Path:
    try:
        return Path(out).expanduser().absolute()
    except RuntimeError:
        raise Failure(f"--out: {quoted(out)}: there is no such home directory") from None


def _register_printer(*, exact: bool) -> list[OSError]:
    """Register the task that prints: only this process has the terminal for the text.

    An `exact` text goes into a pipe or file byte for byte, without a line end of ours.

    Return a list that gets the error if the text cannot be printed. The task then stays undone, and
    the next process that receives with this code does it.
    """
    from twisted.internet.defer import Deferred

    from holdfast.flows.tasks import Call, task

    errors: list[OSError] = []

    @task("print", tries=1_000_000, timeout=_PRINTING)
    def print_text(call: Call) -> Deferred[None]:
        printed: Deferred[None] = Deferred()

        def done(error: OSError | None) -> None:
            if error is None:
                call.reactor.callFromThread(printed.callback, None)
            else:
                errors.append(error)

        ends = "" if exact and not sys.stdout.isatty() else "\n"
        say.deliver(_as_shown(call.arguments["text"] + ends), done)
        return printed

    return errors


def _as_shown(text: str) -> bytes:
    """Return the bytes for standard output: in a pipe or file the text itself, in UTF-8."""
    if not sys.stdout.isatty():
        return text.encode("utf-8", "surrogatepass")
    # The sender must not control the terminal.
    shown = "\n".join(printable(line, len(line)) for line in text.split("\n"))
    return shown.encode(sys.stdout.encoding, "backslashreplace")
