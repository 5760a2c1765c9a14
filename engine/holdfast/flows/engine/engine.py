"""The engine: runs every flow that is ready to run, in one process, until it is stopped.

Flows come from the database and from nowhere else. Another process that starts a flow, or asks for
one to be cancelled, writes that there. The engine looks twice a second and acts on what it finds.

Theory of operation. A flow is a row. One process at a time has it `taken`, and keeps a `FlowRunner`
for it in `running`. A flow leaves that register in one of five ways:

- it is over (`Engine.over`);
- its wormhole has ended, and another is to take its place (`reopens`): the runner is thrown away,
  and the flow is given back, to be taken again;
- its own code raised, or one of its commits was refused (`broken`): the runner is thrown away, and
  the flow is given back, to be taken again later;
- it only waits, and its connection, or its place here, is needed for others (`_let_go`): it is
  parked (`turns`), or shared with another worker;
- the process is asked to stop (`stop`).

In the last four nothing is lost, because what counts is the last commit. The database cannot be
told at once: it may not answer, and everything that asks it runs in a thread, for which the reactor
does not wait. So what it must be told is owed (`owed`). While something is owed about a flow, that
flow is not run again here.

Each look (`_look`) takes the same steps in the same order:

1. The chores (`chores`), twice a second: requests of operators, timers and deadlines, turns,
   sharing, what is owed, finished flows that were kept long enough. A look in between, made because
   there may be room again, only takes care of the turns.
2. Taking (`taking`): as many flows as there are free connections. A flow that has left still counts
   until its connection is down (`leaving`).

If all is still (`heeding`), nothing is asked of the database but that. If besides nothing runs here
and nothing is owed, the engine rests: a thread of the journal looks out meanwhile, as often as the
engine would look (`SqlJournal.look_out`), and the reactor sleeps.

If commits cannot be written (`_is_pressed`), nothing is begun. One look ends before the next
begins, so no two of these steps run at the same time; but runners do run between two `yield`s.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.logger import Logger
from twisted.python.failure import Failure

from holdfast.api import through
from holdfast.flows.engine import looking
from holdfast.flows.engine.chores import Chore, Chores
from holdfast.flows.engine.detached import Detached
from holdfast.flows.engine.executor import Executor
from holdfast.flows.engine.heeding import Heeding
from holdfast.flows.engine.leaving import Leaving
from holdfast.flows.engine.observing import UNOBSERVED, Observer
from holdfast.flows.engine.owed import Owed
from holdfast.flows.engine.parking import Parking
from holdfast.flows.engine.runner import FlowRunner
from holdfast.flows.engine.scope import Scope
from holdfast.flows.engine.taking import Taking
from holdfast.flows.engine.threads import DaemonThreads, Threads
from holdfast.flows.engine.trouble import place_of, traceback_of
from holdfast.flows.engine.turns import Turns
from holdfast.flows.engine.watches import Watches
from holdfast.rendezvous import MOST_CONNECTIONS
from holdfast.rendezvous.dialer import Dialer
from holdfast.rendezvous.tor import TorManager
from holdfast.shell.contact import MakesConnector
from holdfast.shell.lull import Lull
from holdfast.shell.options import Options
from holdfast.status import Status
from holdfast.timing import DebugTiming
from holdfast.transit.keeping import Keeper
from holdfast_journal import DatabaseAway, DatabaseUnusable, Fenced, JournalStopped, SqlJournal

STOP_PATIENCE: Final = 10.0
"""Seconds that stopping waits for a database that does not answer."""

SHRED_EVERY: Final = 60.0
"""Seconds between two looks for finished flows that were kept long enough."""

SHARE_EVERY: Final = 2.0
"""Seconds between two handovers of flows to workers that have fewer."""

LOOK_FOR_WATCHERS_EVERY: Final = 5.0
"""Seconds between two looks for what workers watched that are gone now."""

TURN_EVERY: Final = 0.1
"""Seconds between two rounds of letting visited flows go, while others wait for that."""

TAKE_AT_ONCE: Final = 500
"""Flows taken in one look."""

_WHO: Final = "engine"

_log = Logger()


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
        threads: run what waits for the database, and functions of the user's.
        observer: hears of what the flows do.
        tor: makes every connection, of transfers too, go through Tor.
        keeper: holds connections of transfers beyond the death of this process.
    """

    def __init__(  # noqa: PLR0913 - the face of the engine
        self,
        journal: SqlJournal,
        reactor: Any,
        serve: Collection[str] | None = None,
        batch: str | None = None,
        names: Collection[str] | None = None,
        connector: MakesConnector | None = None,
        connections: int = MOST_CONNECTIONS,
        on_status_update: Callable[[Status], object] | None = None,
        timing: DebugTiming | None = None,
        now: Callable[[], float] = time.time,
        threads: Threads | None = None,
        observer: Observer = UNOBSERVED,
        tor: TorManager | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        self.keeper = keeper
        threads = DaemonThreads("engine") if threads is None else threads
        self._scope = Scope(journal, reactor, serve, batch, names, now, threads)
        self.connector = _own_connector(journal, reactor, tor) if connector is None else connector
        self.observer = observer
        self.executor = Executor(reactor, now, threads=threads, observer=observer)
        self.options = Options(
            on_status_update=on_status_update,
            timing=timing,
            lull=Lull(reactor),
            clock=reactor,
            tor=tor,
            now=now,
            # A flow shows what it is told, and people pass that on.
            discreet=True,
        )
        self.running: dict[int, FlowRunner] = {}
        """The runners of flows that the journal holds for us, for the reactor's thread alone.

        A flow leaves here when its runner ends, and the journal when it is given back after that.
        """
        self._owed = Owed(self._scope.in_thread)
        parking = Parking(connections)
        self._leaving = Leaving(self._scope.seconds, parking.visits, self._is_free)
        watches = Watches(
            *(self._scope, self.running, self._owed),
            *(self._let_go, self.connector, self._take_soon),
        )
        self._turns = Turns(self._scope, self.running, self._owed, self._let_go, parking, watches)
        self._taking = Taking(
            self._scope, self.running, self._owed, self._turns, self, self._look_soon
        )
        self._heeding = Heeding(self._scope, self.running, self._taking.left_to_others)
        self._detached = Detached(self._scope, self._look_soon, observer)
        self._chores = Chores(
            self._scope.seconds,
            [
                Chore(self._heed),
                Chore(self._tick),
                Chore(self._turns.look, LOOK_FOR_WATCHERS_EVERY),
                Chore(self._turns.take),
                Chore(self._turns.share, SHARE_EVERY),
                Chore(self._taking.pay),
                Chore(self._detached.look),
                Chore(self._shred, SHRED_EVERY),
            ],
        )
        self._looking = looking.Looking(reactor, journal.pressure, _WHO, self._look)

    def start(self) -> Deferred[None]:
        """Look for flows now and from now on.

        A database that does not answer for a while is waited for.

        Returns:
            A Deferred that fires when the engine is stopped; or fails when looking itself fails,
            and then the engine should be stopped.
        """
        for problem in self._scope.problems():
            _log.warn("{problem}", problem=problem)
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
        hung_up = self._turns.stop()
        for runner in tuple(self.running.values()):
            runner.leave()
            self._leaving.add(runner)
        self.running.clear()
        self._detached.cut_off()
        journal = self._scope.journal
        try:
            yield journal.stop(STOP_PATIENCE)
            yield self._detached.write_down()
            yield self._scope.in_thread(journal.give_back)
        except JournalStopped as error:
            if error.__cause__ is None:  # otherwise the caller that opened it was told
                _log.warn("{error}", error=error)
        except DatabaseUnusable as error:
            # Other workers notice by themselves that we are gone.
            why = error.why if isinstance(error, DatabaseAway) else error
            _log.warn("the flows are not given back: {why}", why=why)
        yield self._leaving.all_down()
        yield hung_up

    def listen(self, changed: Callable[[], object]) -> None:
        """Have `changed` called in each look, unless nothing was committed since the last one."""
        self._heeding.on_news = changed

    def settle(self) -> Deferred[None]:
        """Return a Deferred that fires when each detached task that is due has been tried."""
        return self._detached.settle()

    # What runners ask for (`holdfast.flows.engine.owner.RunnerOwner`).

    @property
    def clock(self) -> Any:
        """Twisted's reactor."""
        return self._scope.reactor

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._scope.now()

    def look_up(self, call: Callable[[], Any]) -> Deferred[Any]:
        """Call `call`, which asks the database, without blocking the reactor."""
        return self._scope.in_thread(call)

    def answered(self, flow_id: int, request: str) -> None:
        """What an operator asked is done; the next look says so in the database."""
        self._heeding.answered(flow_id, request)

    def detached(self) -> None:
        """There is a detached task to be done."""
        self._detached.hasten()

    def over(self, runner: FlowRunner) -> None:
        """The flow's last entry is durable."""
        self._leaving.add(runner)
        self.running.pop(runner.taken.id, None)

    def reopens(self, runner: FlowRunner) -> None:
        """Load the flow again, with a new wormhole."""
        flow_id = runner.taken.id
        if self.running.pop(flow_id, None) is not None:
            self._leaving.add(runner)
            give_back = self._scope.journal.give_back
            wake_at = runner.host.reopens_at
            self._owed.add(partial(give_back, [flow_id], wake_at=wake_at), [flow_id])
            self._look_soon()

    def broken(self, runner: FlowRunner, failure: Failure) -> None:
        """Load the flow again, later each time: its own code raised, or its journal is lost."""
        flow_id = runner.taken.id
        if self.running.pop(flow_id, None) is None:
            return
        self._leaving.add(runner)
        if failure.check(Fenced):  # another process has the flow, and it is well
            _log.warn("flow {name} was taken over by another process", name=runner.taken.name)
            return
        if failure.check(JournalStopped):
            return  # not the flow's fault: the disk failed, and this process is about to end
        # The exception's own words may quote a secret: only its type and place are logged.
        _log.error("flow {name}: {where}", name=runner.taken.name, where=place_of(failure))
        self.observer.broke(runner.taken.kind)
        wake_at = self.now() + 2.0 ** (runner.taken.failures + 1)
        give_back = self._scope.journal.give_back_failed
        self._owed.add(partial(give_back, flow_id, traceback_of(failure), wake_at), [flow_id])

    # How flows leave.

    def _let_go(self, runners: Iterable[FlowRunner]) -> None:
        for runner in runners:
            rested_at = runner.rested_at
            visited = None if rested_at is None else rested_at - runner.taken_at
            runner.abandon()
            self._leaving.add(runner, visited)
            del self.running[runner.taken.id]

    def _is_free(self) -> None:
        if self._taking.is_crowded:
            self._looking.hurry()

    # Looking.

    @inlineCallbacks
    def _look(self) -> Any:
        """Do everything twice a second; in between, if there is room again, only take flows."""
        again = not self._chores.are_due
        if not again:
            yield self._chores.do(looking.LOOK_EVERY)
        elif not self._is_pressed:
            yield self._turns.take()
            yield self._taking.pay()
        if self._is_pressed:
            return False  # what follows leads to more that must be written
        connections = self._turns.parking.connections
        free = min(connections - len(self.running) - len(self._leaving), TAKE_AT_ONCE)
        still = self._heeding.is_still and not again
        taken = 0 if still else (yield self._taking.take(free, again=again))
        if taken == TAKE_AT_ONCE:
            return True
        waited_for = free <= 0 or self._taking.is_crowded
        if waited_for and self._turns.is_full:
            return TURN_EVERY
        return self._rest() if still else False

    def _rest(self) -> float:
        """Seconds until the next look, unless something happens before that."""
        pause = looking.LOOK_EVERY
        if self.running or not self._owed.is_empty or self._taking.left_to_others():
            return pause
        now = self._scope.seconds()
        longest = self._detached.rests_until(now + looking.LONGEST_REST) - now
        if longest > pause and self._scope.look_out(self._look_soon, pause):
            return longest
        return pause

    @property
    def _is_pressed(self) -> bool:
        """Whether commits cannot be written, as far as the others know."""
        return self._scope.journal.pressure.high_apart_from(_WHO)

    def _take_soon(self) -> None:
        self._looking.hurry()

    def _look_soon(self) -> None:
        self._chores.hasten()
        self._looking.hurry()

    @inlineCallbacks
    def _heed(self) -> Any:
        """Do what operators asked for; return whether there is more to do."""
        yield self._heeding.look()
        return not self._is_pressed

    def _tick(self) -> None:
        for runner in tuple(self.running.values()):
            runner.tick()

    def _shred(self) -> Deferred[Any]:
        return self._scope.in_thread(self._scope.journal.shred_due)


def _own_connector(journal: SqlJournal, reactor: Any, tor: TorManager | None) -> MakesConnector:
    """Return what makes connectors that pause while the journal has to wait.

    So this is not the maker that all other wormholes of the process share.
    """
    dialer = Dialer(reactor) if tor is None else Dialer(reactor, endpoints=tor)
    journal.pressure.listen(lambda high: dialer.pause() if high else dialer.resume())
    return through(dialer)
