"""Turns: which flows give up their connections, and until when.

A flow that only waits can be away in two ways, by what its mailbox server offers. Either it is
watched, and comes back when something has come (`watches`). Or it is visited from time to time, if
there are more flows than connections (`parking` and `visits` decide). The engine does not know
which.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred, inlineCallbacks

from holdfast.flows.engine.census import Census
from holdfast.flows.engine.owed import Owed
from holdfast.flows.engine.parking import Parking
from holdfast.flows.engine.scope import Scope
from holdfast.flows.engine.visits import MuteServers
from holdfast.flows.engine.watches import Watches
from holdfast_journal import TakenFlow

if TYPE_CHECKING:
    from holdfast.flows.engine.runner import FlowRunner

SHARED_AT_ONCE: Final = 50
"""Flows given away at one time, so that the others' servers and ours are not overrun."""

UNEVEN: Final = 2
"""Flows above the share that are not worth moving."""


@define(eq=False)
class Turns:
    """If there are more flows than connections, sees to it that each gets its visits.

    Args:
        scope: the journal and the clocks.
        running: the flows that run here, in the order in which they came.
        owed: what the database is to be told.
        let_go: stops running flows, which other workers may then take.
        parking: decides which flows are parked.
        watches: those that are watched.
    """

    _scope: Scope
    _running: dict[int, FlowRunner]
    _owed: Owed
    _let_go: Callable[[Iterable[FlowRunner]], object]
    parking: Parking
    watches: Watches
    census: Census = field(init=False)
    _servers: MuteServers = field(factory=MuteServers, init=False)
    _turned_away: list[int] = field(factory=list, init=False)
    """Flows that were taken in this look, although enough flows of their server are tried."""

    def __attrs_post_init__(self) -> None:
        self.census = Census(self._scope, self.parking)

    def look(self) -> Deferred[Any]:
        """Look for flows that are watched, of which nobody would hear."""
        return self.watches.look()

    def stop(self) -> Deferred[Any]:
        """Hear nothing more. Fires when that is so."""
        return self.watches.stop()

    def has_news(self) -> bool:
        """Whether flows are due because something has come for them; asked once for each time."""
        return self.watches.has_news()

    @property
    def is_full(self) -> bool:
        """Whether more flows run than can stay connected."""
        return self.parking.is_full(len(self._running))

    @inlineCallbacks
    def take(self) -> Any:
        """Let flows that only wait go: all that can be watched, and of the others the surplus.

        Returns:
            A Deferred of None.
        """
        self.watches.round()
        others = self._others()
        if self.parking.takes_turns(len(others)):
            yield self.census.count()
            self._park(self._others())
        else:
            yield self.census.stop()

    def _others(self) -> Collection[FlowRunner]:
        """The flows that are not about to be watched."""
        watched = self.watches.letting_go()
        if not watched:  # as on every other server
            return self._running.values()
        return [runner for runner in self._running.values() if runner not in watched]

    def _park(self, running: Collection[FlowRunner]) -> None:
        now, clock = self._scope.seconds(), self._scope.now()
        heard = {runner.url for runner in self.parking.look_at(running, now)}
        parked = self.parking.choose(running, now, clock)
        for wake_at, runners in self.parking.wake_times(parked, now, clock).items():
            self._give_back([runner.taken.id for runner in runners], wake_at)
        self._servers.tried(heard, [runner.url for runner in parked if runner.is_unanswered])
        self.parking.parked += len(parked)
        self._let_go(parked)

    def turns_away(self, runner: FlowRunner) -> bool:
        """Whether it must wait, since enough flows try its server, which says nothing."""
        taken = runner.taken
        waits = not taken.request and not taken.tasks
        if not waits or self._servers.has_room(
            runner.url, self._running.values(), self.parking.connections
        ):
            return False
        self._turned_away.append(taken.id)
        return True

    def give_back_turned_away(self) -> None:
        """Give back what was taken for nothing; later its server may be there."""
        ids, self._turned_away = self._turned_away, []
        if ids:
            self._give_back(ids, self._scope.now() + self.parking.later())

    def came(self, taken: TakenFlow) -> None:
        """This flow runs here from now on."""
        if taken.checkpoint is None:
            self.census.began()
        else:
            self.parking.parked = max(0, self.parking.parked - 1)

    @inlineCallbacks
    def share(self) -> Any:
        """Give other workers some of the flows that only wait, if they have fewer."""
        excess = yield self._scope.in_thread(self._scope.journal.excess)
        if excess <= UNEVEN:
            return
        waiting = (
            runner
            for runner in reversed(self._running.values())
            if runner.is_resting and runner.heard_at is None
        )
        shared = tuple(islice(waiting, min(excess, SHARED_AT_ONCE)))
        if shared:
            self._give_back([runner.taken.id for runner in shared])
        self._let_go(shared)

    def _give_back(self, ids: list[int], wake_at: float | None = None) -> None:
        self._owed.add(partial(self._scope.journal.give_back, ids, wake_at=wake_at), ids)
