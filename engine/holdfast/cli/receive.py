"""``holdfast receive``: receive one text, and go on with it after a crash."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast.cli.durations import Duration
from holdfast.cli.failure import Failure
from holdfast.cli.printable import printable, quoted
from holdfast.cli.recording import dump_timing_option, recorder
from holdfast.cli.settings import appid_option, db_option, relay_option

if TYPE_CHECKING:
    from holdfast.flows.receive import Receive
    from holdfast_journal import FlowRow

BATCH = "receive"
"""The batch of everything that is received by hand."""


@click.command()
@click.argument("code")
@click.option(
    "--out",
    metavar="FILE",
    help="Write the text to this file, byte for byte, whole or not at all, mode 0600, instead of"
    " printing it; - is standard output, byte for byte where that is no terminal.",
)
@click.option(
    "--for", "seconds", type=Duration(), metavar="DURATION", help="Stay at most this long."
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

    CODE is what the sender gave you. The sender is told that the text has arrived only when it is
    printed, or safely in FILE. Start the same command again after a crash or Ctrl-C, and it goes on
    with the same exchange.
    """
    from holdfast.cli.one_flow import finish, rows_of, start_or_resume
    from holdfast.cli.serving import EVERYWHERE, Service
    from holdfast.codes import validate
    from holdfast.errors import KeyFormatError
    from holdfast.flows.receive import ReceiveHere, ReceiveToFile

    try:
        code = validate(code)
    except KeyFormatError as error:
        said = str(error).removesuffix(".")
        raise Failure(said[:1].lower() + said[1:]) from None
    target = None if out in (None, "-") else _target(str(out))
    service = Service(
        db,
        serve=EVERYWHERE if target else (*EVERYWHERE, "receive-here"),
        timing=recorder(dump_timing),
    )
    fingerprint = service.journal.fingerprint("receive", code, relay, appid, str(target))
    before = rows_of(service.journal, BATCH, fingerprint)
    if before and before[-1].status == "done":
        _already(before[-1], target)
        return
    if target is not None and not (before and before[-1].finished_at is None):
        _check(target)
    flow: Receive = ReceiveHere(code=code)
    if target is not None:
        flow = ReceiveToFile(code=code, out=str(target))
    else:
        _register_printer(exact=out == "-")
    name = start_or_resume(service.journal, BATCH, flow, fingerprint, relay=relay, appid=appid)
    rows: list[FlowRow] = []

    def watch(moved: Sequence[FlowRow]) -> bool:
        rows.extend(row for row in moved if row.name == name)
        return bool(rows) and rows[-1].finished_at is not None

    ending = service.run(watch, batch=BATCH, names={name}, seconds=seconds)
    finish(rows[-1] if rows else None, ending)
    if target is not None:
        click.echo(f"received: {target}", err=True)


def _already(row: FlowRow, target: Path | None) -> None:
    from holdfast.cli.tables import timestamp

    where = "printed" if target is None else f"written to {target}"
    when = "" if row.finished_at is None else f" at {timestamp(row.finished_at)}"
    click.echo(f"holdfast: what this code brought was {where}{when}", err=True)


def _check(target: Path) -> None:
    """Find out before anything starts whether the file can be made.  Raises Failure."""
    import os

    if target.exists() or target.is_symlink():
        raise Failure(f"--out: {target} is there already; move it away or choose another name")
    if not target.parent.is_dir():
        raise Failure(f"--out: there is no directory {target.parent}")
    if not os.access(target.parent, os.W_OK):
        raise Failure(f"--out: the directory {target.parent} cannot be written")


def _target(out: str) -> Path:
    try:
        return Path(out).expanduser().absolute()
    except RuntimeError:
        raise Failure(f"--out: {quoted(out)}: there is no such home directory") from None


def _register_printer(*, exact: bool) -> None:
    """Only this process has the terminal on which the text is to appear."""
    from holdfast.flows.tasks import Call, TaskFailed, task

    @task("print", tries=1)
    def print_text(call: Call) -> None:
        text = call.arguments["text"]
        try:
            if sys.stdout.isatty():
                # The sender must not command the terminal; in a pipe the text stays as it is.
                sys.stdout.write(_harmless(text) + "\n")
            elif exact:
                sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass"))
            else:
                sys.stdout.write(text + "\n")
            sys.stdout.flush()
        except (OSError, ValueError) as error:
            raise TaskFailed(type(error).__name__, final=True) from None


def _harmless(text: str) -> str:
    return "\n".join(printable(line, len(line)) for line in text.split("\n"))
