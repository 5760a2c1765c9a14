"""`MailboxTelemetry`: the metrics and the health of a mailbox server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, field
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from twisted.internet.defer import Deferred, succeed

from holdfast.telemetry.counting import WRITES
from holdfast.telemetry.looked_up import LookedUp
from holdfast.telemetry.process import ProcessTelemetry

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from holdfast.server import MailboxService


@define(eq=False)
class MailboxCounts:
    """Counts what the server commits, since this process began."""

    registry: CollectorRegistry
    _answers: Counter = field(init=False)
    _commits: Histogram = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._answers = Counter(
            "holdfast_mailbox_answers",
            "Messages to clients that waited for a commit.",
            registry=self.registry,
        )
        self._commits = Histogram(
            "holdfast_mailbox_commit_seconds",
            "Time of one commit, for which all answers of a moment wait.",
            buckets=WRITES,
            registry=self.registry,
        )

    def wrote(self, answers: int, seconds: float) -> None:
        """So many answers waited for a commit that took so long."""
        self._answers.inc(answers)
        self._commits.observe(seconds)


@define(eq=False)
class MailboxTelemetry:
    """Counts for one mailbox server, and answers for it.

    Args:
        reactor: Twisted's.
        address: where it is asked; see `Door.open`.
        tell: called with its URL once it answers.

    Raises:
        Refused: the address is malformed, or cannot be bound.
    """

    _reactor: Any
    _address: str
    _tell: Callable[[str], object]
    _where: str = field(init=False)
    _process: ProcessTelemetry = field(init=False)
    _server: MailboxService | None = field(default=None, init=False)
    _rows: LookedUp[Mapping[str, int]] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._process = ProcessTelemetry(self._reactor, "mailbox")
        self._where = self._process.open(self._address, self, self._look)

    def attach(self, server: MailboxService) -> None:
        """Begin and end with the reactor, and count for `server`."""
        self._server = server
        self._rows = LookedUp(self._reactor, server.count)
        self._process.registry.register(MailboxGauges(server, self._rows))
        server.turn.observe = MailboxCounts(self._process.registry).wrote
        self._reactor.callWhenRunning(self._start)
        self._reactor.addSystemEventTrigger("during", "shutdown", self._process.stop)

    # The health (`holdfast.operating.health.Health`).

    def unwell(self) -> str | None:
        """It makes progress if this is called."""
        return None

    def unready(self) -> str | None:
        """Why it cannot serve clients now."""
        return "starting" if self._server is None else self._server.unready()

    def _start(self) -> None:
        self._process.start()
        self._tell(self._where)

    def _look(self) -> Deferred[None]:
        return succeed(None) if self._rows is None else self._rows.look()


@define(eq=False)
class MailboxGauges(Collector):
    """How the server is at the moment of a scrape."""

    _server: MailboxService
    _rows: LookedUp[Mapping[str, int]]

    def collect(self) -> Iterator[Metric]:
        """The metrics, as Prometheus' package has them."""
        yield GaugeMetricFamily(
            "holdfast_mailbox_connections",
            "Connections of clients.",
            self._server.connections.number,
        )
        yield GaugeMetricFamily(
            "holdfast_mailbox_watching",
            "Those of them on which somebody watches mailboxes.",
            self._server.connections.watches.here,
        )
        yield CounterMetricFamily(
            "holdfast_mailbox_refused",
            "Clients that were sent away because there were too many.",
            self._server.connections.refused,
        )
        yield GaugeMetricFamily(
            "holdfast_mailbox_database_usable",
            "Whether the last commit succeeded.",
            int(self._server.turn.is_well),
        )
        rows = GaugeMetricFamily(
            "holdfast_mailbox_rows",
            "What is in the database.",
            labels=["table"],
        )
        age = GaugeMetricFamily(
            "holdfast_counts_age_seconds", "How long ago the rows of the database were counted."
        )
        if self._rows.last is not None:
            for table, number in self._rows.last.items():
                rows.add_metric([table], number)
            age.add_metric([], self._rows.age or 0.0)
        yield from (rows, age)
