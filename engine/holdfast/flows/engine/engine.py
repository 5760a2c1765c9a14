"""The engine: runs every flow that is there to be run, in one process, until it is stopped.

Flows come from the database and from nowhere else. Another process that starts a flow, or asks for
one to be cancelled, writes that there, and the engine, which looks twice a second, takes it up.
"""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, Final

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks
from twisted.logger import Logger
from twisted.python.failure import Failure

from holdfast.api import through
from holdfast.flows.base import kinds
from holdfast.flows.engine import looking
from holdfast.flows.engine.aside import set_aside
from holdfast.flows.engine.executor import Executor
from holdfast.flows.engine.parking import Parking
from holdfast.flows.engine.probation import PROBATION, Probation
from holdfast.flows.engine.runner import FlowRunner
from holdfast.flows.engine.threads import DaemonThreads, Threads, call_in
from holdfast.flows.engine.trouble import place_of, traceback_of
from holdfast.flows.engine.unloaded import Unloaded
from holdfast.flows.engine.visits import MuteServers, Standing
from holdfast.rendezvous.dialer import Dialer
from holdfast.shell.contact import MakesConnector
from holdfast.status import Status
from holdfast.timing import DebugTiming
from holdfast_journal import (
    MOST_DEATHS,
    DatabaseAway,
    DatabaseUnusable,
    Fenced,
    JournalStopped,
    SqlJournal,
    TakenFlow,
    Unfinished,
)

STOP_PATIENCE: Final = 10.0
"""Seconds that stopping waits for a database that does not answer."""

MOST_CONNECTIONS: Final = 2000
"""Connections of one process, unless its operator says otherwise."""

SHRED_EVERY: Final = 60.0
"""Seconds between two looks for finished flows that were kept long enough."""

COUNT_EVERY: Final = 20.0
"""Seconds between two counts of the flows, while there are more than connections."""

COUNT_SOON: Final = 2.0
"""Likewise, while some wait for room."""

TURN_EVERY: Final = 0.1
"""Seconds between two times of letting go of flows that were visited, while others wait for that.
"""

TELL_EVERY: Final = 60.0
"""Seconds between two times of writing down the same trouble with other numbers."""

SHARE_EVERY: Final = 2.0
"""Seconds between two times of giving flows to workers that have fewer."""

SHARED_AT_ONCE: Final = 50
"""Flows given away at one time, so that the others' servers and ours are not overrun."""

UNEVEN: Final = 2
"""Flows above the share that are not worth moving."""

TAKE_AT_ONCE: Final = 500
"""Flows taken in one look."""

MOST_FAILURES: Final = 3
"""How often a flow's own code may raise before the flow is set aside."""

DEADLY: Final = "process after process ended while it ran, at last when it ran alone"
"""The reason for which a flow is set aside that ends whoever runs it."""

_WHO: Final = "engine"

_log = Logger()


@frozen
class Owed:
    """Something that the database is to be told of flows which we do not run any more."""

    flows: Collection[int]
    call: Callable[[], object]


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python from looking for garbage among what is being made, all of which will stay.

    With some hundred flows that is a third of what it takes to load them.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@define(eq=False)
class Engine:
    """Runs flows of one journal.

    Args:
        journal: where they live.
        reactor: Twisted's reactor.
        serve: the kinds of flows to run; all that are registered in this process if None.
        batch, names: run only the flows of this batch, with these names.
        connector: makes the connectors; for tests.
        connections: how many connections are open at most.
        on_status_update: called with news of connections.
        timing: records when every message of every flow went and came.
        now: seconds since the epoch.
        threads: where whatever waits for the database, or is a user's, runs.
    """

    _journal: SqlJournal
    _reactor: Any
    serve: Collection[str] | None = None
    batch: str | None = None
    names: Collection[str] | None = None
    connector: MakesConnector = field(default=None)  # pyrefly: ignore[bad-assignment]  # see below
    connections: int = MOST_CONNECTIONS
    on_status_update: Callable[[Status], object] | None = None
    timing: DebugTiming | None = None
    _now: Callable[[], float] = time.time
    threads: Threads = field(factory=partial(DaemonThreads, "engine"))
    executor: Executor = field(init=False)
    running: dict[int, FlowRunner] = field(factory=dict, init=False)
    _parking: Parking = field(init=False)
    _unloaded: Unloaded = field(factory=Unloaded, init=False)
    _left: Collection[int] = field(default=(), init=False)
    """Flows that are left to others, as of the last look."""
    _shares: bool = field(default=True, init=False)
    """Whether it takes part in sharing flows with other services."""
    _probation: Probation = field(factory=Probation, init=False)
    _owed: deque[Owed] = field(factory=deque, init=False)
    """What the database is to be told, in order, once it answers."""
    _leaving: set[Deferred[None]] = field(factory=set, init=False)
    _looking: looking.Looking = field(init=False)
    _servers: MuteServers = field(factory=MuteServers, init=False)
    _turned_away: list[int] = field(factory=list, init=False)
    """Flows that were taken in this look, and of whose server enough are tried."""
    _counted: Unfinished | None = field(default=None, init=False)
    """The flows when they were last counted; None if each can have a connection."""
    _began: int = field(default=0, init=False)
    """How many have begun since."""
    _told: Standing | None = field(default=None, init=False)
    """What operators were told last."""
    _tell_at: float = field(default=0.0, init=False)
    _crowded: bool = field(default=False, init=False)
    """Whether the last look took as many flows as there was room for, so that more may wait."""
    _chores_at: float = field(default=0.0, init=False)
    _shred_at: float = field(default=0.0, init=False)
    _count_at: float = field(default=0.0, init=False)
    _share_at: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self.executor = Executor(self._reactor, self._now, threads=self.threads)
        self._parking = Parking(self.connections)
        self._looking = looking.Looking(self._reactor, self._journal.pressure, _WHO, self._look)
        if self.connector is None:
            # Not the one that everybody shares: it is paused when our journal has to wait.
            dialer = Dialer(self._reactor)
            self.connector = through(dialer)
            self._journal.pressure.listen(lambda high: dialer.pause() if high else dialer.resume())

    def start(self) -> Deferred[None]:
        """Look for flows now and from now on.

        A database that does not answer for a while is waited for.

        Returns:
            A Deferred that fires when the engine is stopped; or fails when looking itself fails,
            and then the engine should be stopped.
        """
        return self._looking.start()

    @inlineCallbacks
    def stop(self) -> Any:
        """Let go of every flow, so that another process can run it at once.

        The journal is stopped too, once everything is durable; closing it is left to its owner.

        Returns:
            A Deferred that fires when the flows are given back and the connections are down, which
            a server, or a database, that does not answer delays by some seconds.
        """
        yield self._looking.stop()
        for runner in tuple(self.running.values()):
            runner.leave()
            self._leaves(runner)
        self.running.clear()
        try:
            yield self._journal.stop(STOP_PATIENCE)
            yield self._in_thread(self._journal.give_back)
        except JournalStopped as error:
            if error.__cause__ is None:  # otherwise whoever opened the journal was told
                _log.warn("{error}", error=error)
        except DatabaseUnusable as error:
            # Others notice by themselves that we are gone.
            why = error.why if isinstance(error, DatabaseAway) else error
            _log.warn("the flows are not given back: {why}", why=why)
        yield DeferredList(tuple(self._leaving))

    def _leaves(self, runner: FlowRunner, visited: float | None = None) -> None:
        """Remember that a connection is on its way down, after a visit of so many seconds."""
        down = runner.wormhole.when_down()
        self._leaving.add(down)
        began = None if visited is None else self._reactor.seconds() - visited
        down.addCallback(self._is_free, down, began)

    def _is_free(self, _: object, down: Deferred[None], began: float | None) -> None:
        self._leaving.discard(down)
        if began is not None:
            self._parking.visits.took(self._reactor.seconds() - began)
        if self._crowded:
            self._looking.hurry()

    # What runners ask for (`holdfast.flows.engine.runner.Owner`).

    @property
    def clock(self) -> Any:
        """Twisted's reactor."""
        return self._reactor

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now()

    def status(self, status: Status) -> None:
        """A connection has news."""
        if self.on_status_update is not None:
            self.on_status_update(status)

    def look_up(self, call: Callable[[], Any]) -> Deferred[Any]:
        """Call `call`, which asks the database, where that keeps nobody waiting."""
        return self._in_thread(call)

    def over(self, runner: FlowRunner) -> None:
        """The flow's last entry is durable."""
        self._leaves(runner)
        self.running.pop(runner.taken.id, None)

    def broken(self, runner: FlowRunner, failure: Failure) -> None:
        """The flow's own code raised, or its journal is lost: load it again, later each time."""
        flow_id = runner.taken.id
        if self.running.pop(flow_id, None) is None:
            return
        self._leaves(runner)
        if failure.check(Fenced):
            # Somebody else has the flow, and it is well.
            _log.warn("flow {name} was taken over by another process", name=runner.taken.name)
            return
        if failure.check(JournalStopped):
            return  # no fault of the flow: the disk failed, and this process is about to end
        # The exception's own words may quote a secret: only its type and place are told.
        _log.error("flow {name}: {where}", name=runner.taken.name, where=place_of(failure))
        wake_at = self._now() + 2.0 ** (runner.taken.failures + 1)
        trouble = traceback_of(failure)
        call = partial(self._journal.give_back_failed, flow_id, trouble, wake_at)
        self._owed.append(Owed([flow_id], call))

    # Looking.

    @inlineCallbacks
    def _look(self) -> Any:
        """Twice a second do everything; in between, when there is room again, only take flows."""
        again = self._chores_at > self._reactor.seconds()
        if not again:
            yield self._do_chores()
            self._chores_at = self._reactor.seconds() + looking.LOOK_EVERY
        elif not self._journal.pressure.high_besides(_WHO):
            yield self._take_turns()
        if self._journal.pressure.high_besides(_WHO):
            return False  # what follows leads to more that must be written
        self._left = self._unloaded.left_to_others(self._reactor.seconds())
        free = min(self.connections - len(self.running) - len(self._leaving), TAKE_AT_ONCE)
        if free <= 0:
            return self._soon()
        # Visits come first: who has not begun has no code that could be forgotten.
        visits_first = self._counted is not None
        if self._probation.wants_suspects(self._reactor.seconds()):
            # Before the others, who come back again and again where there are too few places.
            suspects = yield self._in_thread(self._take, free, again, False, True)
            self._run_all(suspects)
            free -= len(suspects)
            self._crowded = not free
            if not free:
                return self._soon()
        taken = yield self._in_thread(self._take, free, again, visits_first)
        self._run_all(taken)
        left = int(min(free - len(taken), self._room())) if visits_first else 0
        if left:
            others = yield self._in_thread(self._take, left, True)
            self._run_all(others)
            taken = [*taken, *others]
        self._turn_away()
        self._crowded = len(taken) == free
        if free == TAKE_AT_ONCE and self._crowded:
            return True
        return self._soon() if self._crowded else False

    def _soon(self) -> float | bool:
        """What a look returns when connections are waited for."""
        return TURN_EVERY if self._parking.is_full(len(self.running)) else False

    @inlineCallbacks
    def _do_chores(self) -> Any:
        requests = yield self._in_thread(self._journal.requests)
        for flow_id, request in requests:
            runner = self.running.get(flow_id)
            if runner is not None and request == "cancel":
                runner.cancel()
        if self._journal.pressure.high_besides(_WHO):
            return
        for runner in tuple(self.running.values()):
            runner.tick()
        yield self._take_turns()
        if self._share_at <= self._reactor.seconds():
            self._share_at = self._reactor.seconds() + SHARE_EVERY
            excess = yield self._in_thread(self._journal.excess)
            if excess > UNEVEN:
                self._share(min(excess, SHARED_AT_ONCE))
        yield self._pay()
        if self._shred_at <= self._reactor.seconds():
            self._shred_at = self._reactor.seconds() + SHRED_EVERY
            yield self._in_thread(self._journal.shred_due)

    @inlineCallbacks
    def _pay(self) -> Any:
        if self._unloaded.is_fit != self._shares:
            self._shares = self._unloaded.is_fit
            self._owed.append(Owed((), partial(self._journal.share, self._shares)))
        while self._owed:
            yield self._in_thread(self._owed[0].call)
            self._owed.popleft()

    @inlineCallbacks
    def _take_turns(self) -> Any:
        """See to it that every flow gets its visits, if there are more than connections."""
        if self._parking.takes_turns(len(self.running)):
            if self._count_at <= self._reactor.seconds():
                yield self._count()
            self._park()
            yield self._pay()
        elif self._counted is not None:
            self._counted = None
            yield self._tell(None)

    @inlineCallbacks
    def _count(self) -> Any:
        self._counted = yield self._in_thread(
            partial(
                self._journal.count_unfinished,
                batch=self.batch,
                names=self.names,
                kinds=self._kinds(),
            )
        )
        self._parking.parked, self._parking.new = self._counted.unowned, self._counted.new
        self._began = 0
        standing = self._standing(self._counted)
        late = COUNT_SOON if standing.state else COUNT_EVERY
        self._count_at = self._reactor.seconds() + late
        yield self._tell(standing if standing.state else None)

    def _standing(self, counted: Unfinished) -> Standing:
        most = self._parking.visits.most(self.connections) * self._journal.services
        return Standing(counted.begun + self._began, counted.new, most, self.connections)

    def _room(self) -> float:
        """How many flows may begin: no more than can be visited in time."""
        return float("inf") if self._counted is None else self._standing(self._counted).room

    @inlineCallbacks
    def _tell(self, standing: Standing | None) -> Any:
        """Tell operators that not all is done in time, or that it is again."""
        before, self._told = self._told, standing
        if (before and before.state) == (standing and standing.state):
            if standing is None or self._reactor.seconds() < self._tell_at:
                return
        elif standing is None:
            _log.warn("all flows are visited in time again, and none waits for room")
        else:
            _log.warn("{words}", words=standing.words)
        self._tell_at = self._reactor.seconds() + TELL_EVERY
        yield self._in_thread(self._journal.tell, standing and standing.words)

    def _park(self) -> None:
        """Let flows that only wait go without a connection, as many as there are too many."""
        now, clock = self._reactor.seconds(), self._now()
        for runner in self._parking.look_at(self.running.values(), now):
            self._servers.heard(runner.url)
        parked = self._parking.choose(self.running.values(), now, clock)
        for wake_at, runners in self._parking.wake_times(parked, now, clock).items():
            ids = [runner.taken.id for runner in runners]
            self._owed.append(Owed(ids, partial(self._journal.give_back, ids, wake_at=wake_at)))
        for runner in parked:
            if runner.is_unanswered:
                self._servers.silent(runner.url)
        self._parking.parked += len(parked)
        self._let_go(parked)

    def _turn_away(self) -> None:
        """Give back what was taken for nothing; later its server may be there."""
        ids, self._turned_away = self._turned_away, []
        if ids:
            wake_at = self._now() + self._parking.later()
            self._owed.append(Owed(ids, partial(self._journal.give_back, ids, wake_at=wake_at)))

    def _share(self, count: int) -> None:
        """Give other workers some of the flows that only wait."""
        waiting = (
            runner
            for runner in reversed(self.running.values())
            if runner.is_resting and runner.heard_at is None
        )
        shared = tuple(islice(waiting, count))
        if shared:
            ids = [runner.taken.id for runner in shared]
            self._owed.append(Owed(ids, partial(self._journal.give_back, ids)))
        self._let_go(shared)

    def _let_go(self, runners: Iterable[FlowRunner]) -> None:
        for runner in runners:
            rested_at = runner.rested_at
            visited = None if rested_at is None else rested_at - runner.taken_at
            runner.abandon()
            self._leaves(runner, visited)
            del self.running[runner.taken.id]

    def _take(
        self, limit: int, again: bool, begun: bool = False, suspects: bool = False
    ) -> list[TakenFlow]:
        return self._journal.take(
            batch=self.batch,
            names=self.names,
            kinds=self._kinds(),
            limit=limit,
            again=again,
            begun=begun,
            suspects=suspects,
            without=self._left,
        )

    def _kinds(self) -> Collection[str]:
        return kinds() if self.serve is None else self.serve

    def _run_all(self, taken: Collection[TakenFlow]) -> None:
        suspected = [flow.id for flow in taken if flow.deaths]
        if suspected:
            self._probation.begin(suspected)
            self._reactor.callLater(PROBATION, self._outlived, suspected)
        with _uncollected():
            for each in taken:
                self._run(each)

    def _outlived(self, flows: Collection[int]) -> None:
        """These flows did not end this process."""
        survivors = self._probation.end(flows, self.running)
        if survivors:
            self._owed.append(Owed((), partial(self._journal.survived, survivors)))
            self._chores_at = self._reactor.seconds()
            self._looking.hurry()

    def _run(self, taken: TakenFlow) -> None:
        if taken.journal.is_lost:
            return  # others have taken it already
        if any(taken.id in owed.flows for owed in self._owed):
            return  # it failed while it was being taken, and will be given back first
        if taken.failures >= MOST_FAILURES:
            set_aside(taken, (taken.trouble or "its own code raised").partition("\n")[0])
            return
        if taken.deaths >= MOST_DEATHS:
            set_aside(taken, DEADLY)
            return
        try:
            runner = FlowRunner(taken, self)
        except Exception:  # noqa: BLE001 - whatever the flow's own class raised; it is reported
            self._cannot_load(taken, Failure())
            return
        waits = not taken.request and not taken.tasks
        if waits and not self._servers.has_room(
            runner.url, self.running.values(), self.connections
        ):
            runner.abandon()
            self._turned_away.append(taken.id)
            return
        if taken.checkpoint is None:
            self._began += 1
        else:
            self._parking.parked = max(0, self._parking.parked - 1)
        if self._unloaded.loaded(taken):
            forget = partial(self._journal.forget_trouble, taken.id)
            self._owed.append(Owed((), forget))
        self.running[taken.id] = runner
        runner.start()

    def _cannot_load(self, taken: TakenFlow, failure: Failure) -> None:
        """Give it back: it is no fault of the flow."""
        reason = self._unloaded.failed(taken, failure, self._reactor.seconds())
        if reason is not None:
            call = partial(self._journal.give_back_unloaded, taken.id, reason)
            self._owed.append(Owed([taken.id], call))

    def _in_thread(self, call: Callable[..., Any], *args: Any) -> Deferred[Any]:
        return call_in(self.threads, self._reactor, call, *args)
