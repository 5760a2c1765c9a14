"""`LookedUp`: what the database says, not older than some seconds, and never waited for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from holdfast.flows.engine.threads import DaemonThreads, Threads, call_in

FRESH: Final = 5.0
"""Seconds for which what was looked up is not looked up again."""

SHARE: Final = 100.0
"""How many times as long as the last look took, likewise: looking must not load the database, or
the processor of a worker that has nothing else to do."""

STALE: Final = 60.0
"""Seconds for which it is not looked up again at most, however long the last look took."""

PATIENCE: Final = 2.0
"""Seconds for which an answer waits for a look that is under way."""

T = TypeVar("T")


@define(eq=False)
class LookedUp(Generic[T]):
    """Looks when it is asked, in a thread. Its methods are for the reactor's thread.

    Args:
        reactor: Twisted's.
        look: asks the database, and may block and raise.
        threads: where it does.
    """

    _reactor: Any
    _look: Callable[[], T]
    _threads: Threads = field(factory=lambda: DaemonThreads("metrics"))
    last: T | None = field(default=None, init=False)
    """What was found; None before the first look has succeeded."""
    _at: float | None = field(default=None, init=False)
    """When the look began that found `last`, by the reactor's clock."""
    _again_at: float = field(default=0.0, init=False)
    _under_way: bool = field(default=False, init=False)
    _waiting: list[Deferred[None]] = field(factory=list, init=False)

    @property
    def age(self) -> float | None:
        """How many seconds old `last` is."""
        return None if self._at is None else float(self._reactor.seconds()) - self._at

    def look(self) -> Deferred[None]:
        """Look, unless `last` will do.

        Returns:
            A Deferred that fires when that is over, or takes too long to wait for it.
        """
        now = self._reactor.seconds()
        if not self._under_way:
            if now < self._again_at:
                return succeed(None)
            self._under_way = True
            call_in(self._threads, self._reactor, self._look).addBoth(self._looked, now)
        if not self._under_way:  # a thread that is none, in a test
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        timer = self._reactor.callLater(PATIENCE, self._enough, waiting)
        waiting.addCallback(lambda _: timer.cancel() if timer.active() else None)
        self._waiting.append(waiting)
        return waiting

    def _looked(self, found: T | Failure, began: float) -> None:
        now = self._reactor.seconds()
        self._under_way = False
        self._again_at = now + min(STALE, max(FRESH, SHARE * (now - began)))
        if not isinstance(found, Failure):  # why a database does not answer, others say
            self.last, self._at = found, began
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def _enough(self, waiting: Deferred[None]) -> None:
        self._waiting.remove(waiting)
        waiting.callback(None)
