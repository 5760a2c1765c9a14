"""Taking flows that no worker runs, and running each; or saying why that is not possible."""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import inlineCallbacks
from twisted.python.failure import Failure

from holdfast.flows.engine.aside import set_aside
from holdfast.flows.engine.observing import Move
from holdfast.flows.engine.owed import Owed
from holdfast.flows.engine.owner import RunnerOwner
from holdfast.flows.engine.parking import NO_SERVER_FOR
from holdfast.flows.engine.probation import PROBATION, Probation
from holdfast.flows.engine.runner import FlowRunner
from holdfast.flows.engine.scope import Scope
from holdfast.flows.engine.turns import Turns
from holdfast.flows.engine.unloaded import Unloaded
from holdfast_journal import MOST_DEATHS, FlowStatus, TakenFlow

MOST_FAILURES: Final = 3
"""How often a flow's own code may raise before the flow is set aside."""

BEGIN_AT_ONCE: Final = 500
"""How many flows may be on the way to their codes, if that is more than a quarter of all
connections. More would not have them sooner: all share one processor and one server. Each would
take longer, on a busy machine longer than a visit may last, and would have to come again."""

DEADLY: Final = "process after process ended while it ran, at last when it ran alone"
"""Why a flow is set aside that ends every process that runs it."""


@contextmanager
def _uncollected() -> Iterator[None]:
    """Pause the garbage collector while loading flows: all of these objects live on.

    With some hundred flows, collecting is a third of what loading them takes.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@define(eq=False)
class Taking:
    """Takes flows, for an engine that has room for them.

    Args:
        scope: which flows.
        running: those that run here, to which it adds.
        owed: what the database is to be told.
        turns: which flows have a connection.
        owner: the engine, as runners know it.
        look_soon: has the engine look, chores and all, as soon as it can.
    """

    _scope: Scope
    _running: dict[int, FlowRunner]
    _owed: Owed
    _turns: Turns
    _owner: RunnerOwner
    _look_soon: Callable[[], object]
    _unloaded: Unloaded = field(factory=Unloaded, init=False)
    _probation: Probation = field(factory=Probation, init=False)
    is_crowded: bool = field(default=False, init=False)
    """Whether it last took as many flows as there was room for, so that more may wait."""
    _news: bool = field(default=False, init=False)
    """Whether flows may wait for which something has come."""
    _visits_are_over: bool = field(default=False, init=False)
    """Whether every flow that was to be visited is: others become due until the next look, but to
    find out costs most where very many are new."""

    def left_to_others(self) -> Collection[int]:
        """Return the flows that this process cannot load, and leaves alone for a while."""
        return self._unloaded.left_to_others(self._scope.seconds())

    @inlineCallbacks
    def take(self, free: int, *, again: bool) -> Any:
        """Take as many flows as there are `free` connections, if there are as many.

        Args:
            free: how many connections are free.
            again: whether this is not a look of its own, so that what was looked up for the last
                one will do; see `SqlJournal.take`.

        Returns:
            A Deferred of how many were taken, suspects not counted.
        """
        without = self.left_to_others()
        if free <= 0:
            return 0
        # Visits come first: a flow that has not begun has no code that could be forgotten. So does
        # whoever has come; but where all find room, one search for all costs less than two.
        census = self._turns.census
        self._news |= self._turns.has_news()
        may_begin = self._may_begin()
        visits_first = census.is_needed or may_begin < free or (self._news and self.is_crowded)
        if self._probation.wants_suspects(self._scope.seconds()):
            # Before the others, which come back again and again if there are too few places.
            suspects = yield self._scope.take(free, again=again, suspects=True, without=without)
            self._run_all(suspects)
            free -= len(suspects)
            self.is_crowded = not free
            if not free:
                return 0
        count = 0
        if not (visits_first and again and self._visits_are_over and not self._news):
            taken = yield self._scope.take(free, again=again, begun=visits_first, without=without)
            self._run_all(taken)
            count = len(taken)
            self._visits_are_over = visits_first and count < free
        left = int(min(free - count, census.room, may_begin)) if visits_first else 0
        if left:
            others = yield self._scope.take(left, again=True, without=without)
            self._run_all(others)
            count += len(others)
        self._turns.give_back_turned_away()
        self.is_crowded = count == free
        self._news &= self.is_crowded and not visits_first
        return count

    def _may_begin(self) -> int:
        """How many more flows may be on the way to their codes.

        One whose server is not there does not keep others from beginning for longer than a visit.
        """
        most = max(BEGIN_AT_ONCE, self._turns.parking.connections // 4)
        since = self._scope.seconds() - NO_SERVER_FOR
        under_way = (
            runner
            for runner in self._running.values()
            if runner.taken.checkpoint is None and runner.taken_at > since and not runner.is_resting
        )
        return most - sum(1 for _ in islice(under_way, most))

    @inlineCallbacks
    def pay(self) -> Any:
        """Tell the database what it is owed."""
        shares = self._unloaded.sharing_changes()
        if shares is not None:
            self._owed.add(partial(self._scope.journal.share, shares))
        yield self._owed.pay()

    def _run_all(self, taken: Collection[TakenFlow]) -> None:
        suspected = [flow.id for flow in taken if flow.deaths]
        if suspected:
            self._probation.begin(suspected)
            self._scope.reactor.callLater(PROBATION, self._outlived, suspected)
        with _uncollected():
            for each in taken:
                self._run(each)

    def _outlived(self, flows: Collection[int]) -> None:
        """These flows did not end this process."""
        survivors = self._probation.end(flows, self._running)
        if survivors:
            self._owed.add(partial(self._scope.journal.survived, survivors))
            self._look_soon()

    def _run(self, taken: TakenFlow) -> None:
        if taken.journal.is_lost:
            return  # another worker has taken it already
        if self._owed.concerns(taken.id):
            return  # it failed while it was being taken, and will be given back first
        if taken.failures >= MOST_FAILURES:
            self._set_aside(taken, (taken.trouble or "its own code raised").partition("\n")[0])
            return
        if taken.deaths >= MOST_DEATHS:
            self._set_aside(taken, DEADLY)
            return
        try:
            runner = FlowRunner(taken, self._owner)
        except Exception:  # noqa: BLE001 - whatever the flow's own class raised; it is reported
            self._cannot_load(taken, Failure())
            return
        if self._turns.turns_away(runner):
            runner.abandon()
            return
        self._turns.came(taken)
        if self._unloaded.loaded(taken):
            self._owed.add(partial(self._scope.journal.forget_trouble, taken.id))
        self._running[taken.id] = runner
        self._owner.observer.took(taken.kind, from_the_dead=bool(taken.deaths))
        runner.start()

    def _set_aside(self, taken: TakenFlow, reason: str) -> None:
        set_aside(taken, reason, self._owner.now())
        failed = FlowStatus.FAILED.value
        stood = max(0.0, self._owner.now() - taken.updated_at)
        move = Move(taken.kind, taken.status, failed, failed, stood)
        taken.journal.queue_outbound(self._owner.observer.moved, move)

    def _cannot_load(self, taken: TakenFlow, failure: Failure) -> None:
        """Give it back: it is not the flow's fault."""
        reason = self._unloaded.failed(taken, failure, self._scope.seconds())
        if reason is not None:
            journal = self._scope.journal
            self._owed.add(partial(journal.give_back_unloaded, taken.id, reason), [taken.id])
