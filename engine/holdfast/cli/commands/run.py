"""`holdfast run`: serve every unfinished flow, as a service does."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from holdfast.cli import say
from holdfast.cli.channel import log_format_option
from holdfast.cli.durations import Duration
from holdfast.cli.failure import Left
from holdfast.cli.limiting import limit_options
from holdfast.cli.settings import connections_option, db_option, retain_option
from holdfast.cli.telemetry import http_option
from holdfast.cli.tor import AskedTor, tor_options

if TYPE_CHECKING:
    from holdfast.operating.sharing import Limits
    from holdfast_journal import FlowRow


@click.command()
@click.option("--batch", metavar="BATCH", help="Only the flows of this batch.")
@click.option(
    "--flows",
    "sources",
    multiple=True,
    metavar="MODULE",
    help="Also serve your own flows: import MODULE (a module name or a .py file), which registers"
    " them. Repeatable.",
)
@click.option(
    "--for",
    "seconds",
    type=Duration(),
    metavar="DURATION",
    help="Stop after this long: 90s, 8h, 1h30m, 30d.",
)
@connections_option
@retain_option
@http_option
@log_format_option
@limit_options
@tor_options
@db_option
def command(
    batch: str | None,
    sources: Sequence[str],
    seconds: float | None,
    connections: int,
    retain: float | None,
    http: str | None,
    limits: Limits,
    tor: AskedTor,
    db: str,
) -> None:
    """Serve every unfinished flow, as a service does.

    It runs until you stop it (SIGINT or SIGTERM), and also serves flows that other commands start
    meanwhile. Killing it loses nothing: start it again. It prints a line for each flow that
    changes, without its code.
    """
    from holdfast.cli.serving import serving
    from holdfast.cli.tables import counted
    from holdfast.operating.hooks import missing_secret
    from holdfast.operating.own_flows import load
    from holdfast.operating.printable import printable
    from holdfast.operating.service import EVERYWHERE

    own = load(sources) if sources else ()
    served = (*EVERYWHERE, *own)
    log = _Log()
    through = tor.found()
    with serving(
        db,
        serve=served,
        connections=connections,
        retain=retain,
        http=http,
        status=log.status,
        tor=through,
        limits=limits,
    ) as service:
        # A worker that serves one batch takes all of it that it can, beside workers that share.
        service.journal.serve(None if batch is not None else service.serve)
        open_flows = service.journal.unfinished(batch)
        unfinished = counted(Counter(row.status for row in open_flows)) if open_flows else ""
        place = service.journal.name.removeprefix("sqlite:///")
        message = f"serving {printable(place)} ({unfinished or 'no unfinished flows'})"
        say.log("serving", message, out=True, keys={"unfinished": len(open_flows)})
        log.begin(open_flows)
        _tell_others(open_flows, service.serve)
        notice = missing_secret(service.journal, batch)
        if notice is not None:
            say.tell(notice)
        service.run(log.watch, batch=batch, seconds=seconds)
    if service.asked_to_leave:
        raise Left("an operator asked this worker to leave; its flows are free for others")
    say.log("stopped", "stopped; nothing is lost", out=True)


def _tell_others(rows: Sequence[FlowRow], served: Sequence[str]) -> None:
    """Say which kinds of flows this worker does not serve, because it does not know the classes."""
    from holdfast.operating.printable import quoted
    from holdfast.operating.service import ONE_COMMANDS

    others = {row.kind for row in rows} - {*served, *ONE_COMMANDS}
    if others:
        kinds = ", ".join(quoted(kind, 60) for kind in sorted(others)[:12])
        say.tell(
            f"not served here, because their classes are not known: flows of the kind"
            f" {kinds}; --flows names the module that defines them"
        )


class _Log:
    """Prints a line for each flow whose status changes."""

    def __init__(self) -> None:
        self._statuses: dict[int, str] | None = None
        self._first = True

    def begin(self, rows: Sequence[FlowRow]) -> None:
        """Say nothing of how these flows stand now, which may be thousands: only of changes."""
        self._statuses = {row.id: row.status for row in rows}

    def watch(self, moved: Sequence[FlowRow]) -> bool:
        from holdfast.cli.flow_news import status_and_reason, tell_flow
        from holdfast.cli.tables import timestamp
        from holdfast.operating.printable import printable

        first, self._first = self._first, False
        known = self._statuses = self._statuses or {}
        for row in moved:
            if known.get(row.id) != row.status and not (first and row.finished_at is not None):
                message = f"{printable(row.batch)}/{printable(row.name)} {status_and_reason(row)}"
                when = timestamp(time.time() if first else row.updated_at)
                tell_flow(row, message, shown=f"{when} {message}", out=True)
            if row.finished_at is None:
                known[row.id] = row.status
            else:
                known.pop(row.id, None)  # or they would grow without bound
        return False

    def status(self) -> str | None:
        """Say how the unfinished flows stand, for a service manager."""
        from holdfast.cli.tables import counted

        if self._statuses is None:
            return None
        if not self._statuses:
            return "no unfinished flows"
        return counted(Counter(self._statuses.values()))
