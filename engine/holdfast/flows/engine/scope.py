"""Which flows an engine runs, by which clocks, and where it asks the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen
from twisted.internet.defer import Deferred

from holdfast.flows.base import kinds, problems
from holdfast.flows.engine.threads import Threads, call_in
from holdfast_journal import SqlJournal, TakenFlow, Unfinished

if TYPE_CHECKING:
    from holdfast_journal import DetachedTask


@frozen
class Scope:
    """What all parts of an engine share; see `Engine` for the arguments."""

    journal: SqlJournal
    reactor: Any
    serve: Collection[str] | None
    batch: str | None
    names: Collection[str] | None
    now: Callable[[], float]
    threads: Threads

    def seconds(self) -> float:
        """Seconds of a clock that never jumps."""
        seconds: float = self.reactor.seconds()
        return seconds

    def in_thread(self, call: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Call `call`, which asks the database, without blocking the reactor."""
        return call_in(self.threads, self.reactor, call, *args)

    def take(
        self,
        limit: int,
        *,
        again: bool,
        begun: bool = False,
        suspects: bool = False,
        without: Collection[int] = (),
    ) -> Deferred[list[TakenFlow]]:
        """Take flows of these; see `SqlJournal.take`."""

        def take() -> list[TakenFlow]:
            return self.journal.take(
                batch=self.batch,
                names=self.names,
                kinds=self.kinds(),
                limit=limit,
                again=again,
                begun=begun,
                suspects=suspects,
                without=without,
            )

        return self.in_thread(take)

    def asked(
        self, answered: Collection[tuple[int, str]], without: Collection[int]
    ) -> Deferred[Sequence[tuple[int, str]] | None]:
        """Ask what operators want, once they were told what was done.

        Returns:
            A Deferred of the requests; of None if all is still, so that taking would not find
            anything either (`SqlJournal.is_still`).
        """

        def ask() -> Sequence[tuple[int, str]] | None:
            if answered:
                self.journal.answered(answered)
            still = self.journal.is_still(
                batch=self.batch, names=self.names, kinds=self.kinds(), without=without
            )
            return None if still else self.journal.requests()

        return self.in_thread(ask)

    def look_out(self, then: Callable[[], object], every: float) -> bool:
        """Have `then` called when all is not still any more; see `SqlJournal.look_out`."""
        return self.journal.look_out(
            then, every=every, batch=self.batch, names=self.names, kinds=self.kinds()
        )

    def claim_detached(self, leases: Mapping[str, float], limit: int) -> Deferred[Any]:
        """Claim detached tasks of these; see `SqlJournal.claim_detached`."""

        def claim() -> list[DetachedTask]:
            return self.journal.claim_detached(leases, limit=limit, batch=self.batch)

        return self.in_thread(claim)

    def count(self) -> Deferred[Unfinished]:
        """Count those that are not over; see `SqlJournal.count_unfinished`."""

        def count() -> Unfinished:
            return self.journal.count_unfinished(
                batch=self.batch, names=self.names, kinds=self.kinds()
            )

        return self.in_thread(count)

    def problems(self) -> Iterator[str]:
        """Say what is wrong with the names of tasks in the flows that are known here."""
        for kind in set(kinds()) & set(self.kinds()):
            yield from problems(kind)

    def kinds(self) -> Collection[str]:
        """Return the kinds of flows that are run here."""
        return kinds() if self.serve is None else self.serve
