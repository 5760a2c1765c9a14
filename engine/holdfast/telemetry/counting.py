"""`FlowCounts`: what happens to the flows of a process, counted for Prometheus."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from attrs import define, field
from prometheus_client import CollectorRegistry, Counter, Histogram

from holdfast.flows.engine.observing import Move, Observer
from holdfast_journal import FlowStatus

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

WAITS: Final = (
    *(10.0, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR),
    *(DAY, 3 * DAY, 7 * DAY, 30 * DAY),
)
"""Seconds that a person may take."""

TALKS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, MINUTE, 5 * MINUTE, HOUR)
"""Seconds that two programs may take."""

WRITES: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0),
)
"""Seconds of a transaction, or by which the reactor is late."""

OUTCOMES: Final = ("done", "again", "failed")
"""Of a try of a task; see `Observer.tried`."""


def shown(status: str) -> str:
    """The word that operators see for a status of the database."""
    try:
        return FlowStatus(status).shown
    except ValueError:
        return status


@define(eq=False)
class FlowCounts(Observer):
    """Counts what an engine tells, and the journal's transactions, since this process began."""

    registry: CollectorRegistry
    _taken: Counter = field(init=False)
    _takeovers: Counter = field(init=False)
    _changes: Counter = field(init=False)
    _to_recipient: Histogram = field(init=False)
    _to_receipt: Histogram = field(init=False)
    _guesses: Counter = field(init=False)
    _errors: Counter = field(init=False)
    _tries: Counter = field(init=False)
    _try_seconds: Histogram = field(init=False)
    _commits: Counter = field(init=False)
    _transactions: Histogram = field(init=False)

    def __attrs_post_init__(self) -> None:
        registry, kind = self.registry, ["kind"]
        self._taken = Counter(
            "holdfast_flows_taken", "Flows that this process began to run.", kind, registry=registry
        )
        self._takeovers = Counter(
            "holdfast_takeovers",
            "Flows taken from a worker that had died.",
            kind,
            registry=registry,
        )
        self._changes = Counter(
            "holdfast_flow_changes",
            "Flows that this process brought to a status.",
            ["kind", "status"],
            registry=registry,
        )
        self._to_recipient = Histogram(
            "holdfast_code_to_recipient_seconds",
            "Time from a working code to a recipient who has proved it.",
            kind,
            buckets=WAITS,
            registry=registry,
        )
        self._to_receipt = Histogram(
            "holdfast_recipient_to_receipt_seconds",
            "Time from the recipient's proof to the good end of the exchange.",
            kind,
            buckets=TALKS,
            registry=registry,
        )
        self._guesses = Counter(
            "holdfast_wrong_guesses", "Wrong codes that somebody tried.", kind, registry=registry
        )
        self._errors = Counter(
            "holdfast_flow_errors",
            "Exceptions of flows' own code; each leads to another try.",
            kind,
            registry=registry,
        )
        self._count_work(registry)

    def _count_work(self, registry: CollectorRegistry) -> None:
        self._tries = Counter(
            "holdfast_task_tries",
            "Tries of tasks that have ended: done, again (another will follow), failed.",
            ["task", "outcome"],
            registry=registry,
        )
        self._try_seconds = Histogram(
            "holdfast_task_seconds",
            "Time of one try of a task.",
            ["task"],
            buckets=TALKS,
            registry=registry,
        )
        self._commits = Counter(
            "holdfast_commits", "Commits that were made durable, or refused.", registry=registry
        )
        self._transactions = Histogram(
            "holdfast_transaction_seconds",
            "Time of one transaction, which makes many commits durable.",
            buckets=WRITES,
            registry=registry,
        )

    def expect(self, kinds: Collection[str]) -> None:
        """Show these kinds of flows from the start, with zeros.

        Prometheus sees a counter rise only if it has seen it before.
        """
        for kind in kinds:
            for counter in (self._taken, self._takeovers, self._guesses, self._errors):
                counter.labels(kind)
            for status in FlowStatus:
                if status is not FlowStatus.NEW:
                    self._changes.labels(kind, status.shown)

    # What the engine tells (`holdfast.flows.engine.observing.Observer`).

    def took(self, kind: str, *, from_the_dead: bool) -> None:
        """A flow runs here now."""
        self._taken.labels(kind).inc()
        if from_the_dead:
            self._takeovers.labels(kind).inc()

    def moved(self, move: Move) -> None:
        """The status of a flow has changed."""
        self._changes.labels(move.kind, shown(move.after)).inc()
        if move.before == FlowStatus.WAITING and move.after == FlowStatus.EXCHANGING:
            self._to_recipient.labels(move.kind).observe(move.seconds)
        elif move.before == FlowStatus.EXCHANGING and move.verdict == FlowStatus.DONE:
            self._to_receipt.labels(move.kind).observe(move.seconds)

    def guessed_wrong(self, kind: str) -> None:
        """Somebody came with a wrong code."""
        self._guesses.labels(kind).inc()

    def broke(self, kind: str) -> None:
        """The own code of a flow raised."""
        self._errors.labels(kind).inc()

    def tried(self, task: str, outcome: str, seconds: float) -> None:
        """A try of a task has ended."""
        for each in OUTCOMES:
            self._tries.labels(task, each).inc(each == outcome)
        self._try_seconds.labels(task).observe(seconds)

    # What the journal tells (`SqlJournal.observe_writes`).

    def wrote(self, commits: int, seconds: float) -> None:
        """A transaction has ended."""
        self._commits.inc(commits)
        self._transactions.observe(seconds)
