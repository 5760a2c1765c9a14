"""How many flows there are, and whether all of them are visited in time.

They are counted only if there are more flows than connections. Operators are told when some may
lose their codes, or wait for room, and when that is over.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import inlineCallbacks
from twisted.logger import Logger

from holdfast.flows.engine.parking import Parking
from holdfast.flows.engine.scope import Scope
from holdfast.flows.engine.visits import Standing
from holdfast_journal import Unfinished

COUNT_FLOWS_EVERY: Final = 20.0
"""Seconds between two counts of the flows, while there are more than connections."""

COUNT_SOON: Final = 2.0
"""Likewise, while some wait for room."""

TELL_EVERY: Final = 60.0
"""Seconds between two times of writing down the same trouble with other numbers."""

_log = Logger()


@define(eq=False)
class Census:
    """Counts the flows of an engine, and says how they stand.

    Args:
        scope: which flows.
        parking: is told how many have no connection, and knows how long visits take.
    """

    _scope: Scope
    _parking: Parking
    _counted: Unfinished | None = field(default=None, init=False)
    """The flows when they were last counted; None if each can have a connection."""
    _count_at: float = field(default=0.0, init=False)
    _began: int = field(default=0, init=False)
    """How many have begun since."""
    _told: Standing | None = field(default=None, init=False)
    """What operators were told last."""
    _tell_at: float = field(default=0.0, init=False)

    @property
    def is_needed(self) -> bool:
        """Whether there are more flows than connections, as far as is known."""
        return self._counted is not None

    @property
    def room(self) -> float:
        """How many flows may begin: no more than can be visited in time."""
        return float("inf") if self._counted is None else self._standing(self._counted).room

    def began(self) -> None:
        """A flow has begun here."""
        self._began += 1

    @inlineCallbacks
    def count(self) -> Any:
        """Count them, unless they were counted recently."""
        if self._scope.seconds() < self._count_at:
            return
        self._counted = counted = yield self._scope.count()
        self._parking.parked, self._parking.new = counted.unowned, counted.new
        self._began = 0
        standing = self._standing(counted)
        self._count_at = self._scope.seconds() + (
            COUNT_SOON if standing.state else COUNT_FLOWS_EVERY
        )
        yield self._tell(standing if standing.state else None)

    @inlineCallbacks
    def stop(self) -> Any:
        """Each can have a connection again."""
        if self._counted is not None:
            self._counted = None
            yield self._tell(None)

    def _standing(self, counted: Unfinished) -> Standing:
        connections = self._parking.connections
        most = self._parking.visits.most(connections) * self._scope.journal.services
        return Standing(counted.begun + self._began, counted.new, most, connections)

    @inlineCallbacks
    def _tell(self, standing: Standing | None) -> Any:
        """Tell operators that not all is done in time, or that it is again."""
        before, self._told = self._told, standing
        if (before and before.state) == (standing and standing.state):
            if standing is None or self._scope.seconds() < self._tell_at:
                return
        elif standing is None:
            _log.warn("all flows are visited in time again, and none waits for room")
        else:
            _log.warn("{words}", words=standing.words)
        self._tell_at = self._scope.seconds() + TELL_EVERY
        yield self._scope.in_thread(self._scope.journal.tell, standing and standing.words)
