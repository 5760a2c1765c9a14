"""`holdfast traces`: send what flows do to a tracing system."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from holdfast.cli import say
from holdfast.cli.channel import log_format_option
from holdfast.cli.failure import Failure
from holdfast.cli.settings import db_option

if TYPE_CHECKING:
    from holdfast.operating.supervising import Manager
    from holdfast.telemetry.tracing import Tracing

EVERY: Final = 5.0
"""Seconds between two looks."""

LONGEST: Final = 300.0
"""Seconds between two looks at most, if nothing can be sent."""


def _default_state() -> Path:
    from platformdirs import user_state_path

    return user_state_path("holdfast") / "traces.json"


@click.command()
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    default=_default_state,
    show_default="traces.json in the state directory",
    help="The file that remembers what was sent; one for each database.",
)
@click.option("--once", is_flag=True, help="Send what there is, and end.")
@log_format_option
@db_option
def command(state: Path, once: bool, db: str) -> None:
    """Send what flows do to a tracing system.

    Reads the journal, and sends each step of each flow as a span by OpenTelemetry's protocol OTLP
    over HTTP; a flow's uid is the identifier of its trace. OTEL_EXPORTER_OTLP_ENDPOINT names the
    system, by default http://localhost:4318. If this command is killed, start it again: it sends
    what is missing.
    """
    from holdfast.operating.database import existing_journal

    try:
        from holdfast.telemetry.otlp import Otlp
    except ModuleNotFoundError:
        from holdfast_journal import install

        raise Failure(f"a package is missing: {install('otel')}") from None
    from holdfast.telemetry.tracing import Tracing

    say.take_over()
    send = Otlp()
    try:
        with existing_journal(db, say.tell, looks=True) as journal:
            tracing = Tracing(journal, state, send)
            tracing.open()
            if once:
                _send_once(tracing)
            else:
                _follow(tracing)
    finally:
        send.close()


def _follow(tracing: Tracing) -> None:
    """Look again and again until a signal; say what goes wrong, once, and when that is over."""
    from holdfast.operating.supervising import Manager

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    manager = Manager.taken_from(os.environ, os.getpid())
    trouble, pause = "", EVERY
    _tell(manager, "READY=1")
    while True:
        why, _ = _look(tracing)
        if why and not trouble:
            say.tell(f"{why}; trying again until it works")
        elif trouble and not why:
            say.tell("traces are sent again")
        trouble, pause = why, min(2 * pause, LONGEST) if why else EVERY
        if stop.wait(pause):
            break
    _tell(manager, "STOPPING=1")
    say.log("stopped", "stopped; the next start sends what is missing", out=True)


def _send_once(tracing: Tracing) -> None:
    why, sent = _look(tracing)
    if why:
        raise Failure(why)
    say.log("sent", f"{sent} spans sent", out=True, keys={"spans": sent})


def _look(tracing: Tracing) -> tuple[str, int]:
    """Look once; return why that failed, or "", and how many spans were sent."""
    from holdfast.telemetry.tracing import NotSent
    from holdfast_journal import DatabaseUnusable

    try:
        return "", tracing.look()
    except NotSent as error:
        return f"traces cannot be sent: {error}", 0
    except DatabaseUnusable as error:
        return f"the database cannot be read: {error}", 0


def _tell(manager: Manager, assignment: str) -> None:
    try:
        manager.tell(assignment)
    except OSError as error:
        say.tell(f"the service manager cannot be told: {error.strerror}")
