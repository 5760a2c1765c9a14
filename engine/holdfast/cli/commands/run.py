"""`holdfast run`: serve every unfinished flow, as a service does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
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
    from holdfast_journal import FlowRow, Standing


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
    from holdfast.operating.following import RARELY
    from holdfast.operating.hooks import missing_secret
    from holdfast.operating.own_flows import load
    from holdfast.operating.printable import printable
    from holdfast.operating.service import EVERYWHERE, Work

    own = load(sources) if sources else ()
    served = (*EVERYWHERE, *own)
    log = _Log()
    through = tor.found()
    with serving(
        db,
        Work(served, connections, retain=retain, tor=through, limits=limits),
        http=http,
        status=log.status,
    ) as service:
        # A worker that serves one batch takes all of it that it can, beside workers that share.
        service.journal.serve(None if batch is not None else service.work.serve)
        standing = service.journal.standing(batch)
        log.begin(standing)
        place = service.journal.name.removeprefix("sqlite:///")
        message = f"serving {printable(place)} ({log.status()})"
        say.log("serving", message, out=True, keys={"unfinished": standing.statuses.total()})
        _tell_others({kind for kind, _ in standing.numbers}, service.work.serve)
        notice = missing_secret(service.journal, batch)
        if notice is not None:
            say.tell(notice)
        service.run(log.watch, batch=batch, seconds=seconds, since=standing.seen, every=RARELY)
    if service.asked_to_leave:
        raise Left("an operator asked this worker to leave; its flows are free for others")
    say.log("stopped", "stopped; nothing is lost", out=True)


def _tell_others(kinds: Set[str], served: Sequence[str]) -> None:
    """Say which kinds of flows this worker does not serve, because it does not know the classes."""
    from holdfast.operating.printable import quoted
    from holdfast.operating.service import ONE_COMMANDS

    others = kinds - {*served, *ONE_COMMANDS}
    if others:
        some = ", ".join(quoted(kind, 60) for kind in sorted(others)[:12])
        say.tell(
            f"not served here, because their classes are not known: flows of the kind"
            f" {some}; --flows names the module that defines them"
        )


class _Log:
    """Prints a line for each flow whose status changes."""

    def __init__(self) -> None:
        self._then: Standing | None = None
        self._since: dict[int, str] = {}
        """The statuses of unfinished flows that moved since then."""
        self._over: set[int] = set()
        """Flows that are not as they stood then, because they have ended."""
        self._numbers = Counter[str]()

    def begin(self, standing: Standing) -> None:
        """Say nothing of how these flows stand now, which may be thousands: only of changes."""
        self._then, self._numbers = standing, standing.statuses

    def watch(self, moved: Sequence[FlowRow]) -> bool:
        from holdfast.cli.brief import timestamp
        from holdfast.cli.flow_news import status_and_reason, tell_flow
        from holdfast.operating.printable import printable

        for row in moved:
            before = self._change(row)
            if before != row.status:
                message = f"{printable(row.batch)}/{printable(row.name)} {status_and_reason(row)}"
                tell_flow(row, message, shown=f"{timestamp(row.updated_at)} {message}", out=True)
        return False

    def _change(self, row: FlowRow) -> str | None:
        """Note how a flow stands; return how it stood, or None if it was not there or was over."""
        before = self._since.pop(row.id, None)
        if before is None and self._then is not None and row.id not in self._over:
            before = self._then.of(row.id, row.attempt)
        if before is not None:
            self._numbers[before] -= 1
        if row.finished_at is None:
            self._since[row.id] = row.status
            self._numbers[row.status] += 1
        elif before is not None:
            self._over.add(row.id)
        return before

    def status(self) -> str | None:
        """Say how the unfinished flows stand, for a service manager."""
        from holdfast.cli.brief import counted

        if self._then is None:
            return None
        return counted(+self._numbers) if self._numbers.total() else "no unfinished flows"
