"""`Watch`: notices that something makes no progress."""

from collections.abc import Callable
from typing import Any

from attrs import define, field

from holdfast_journal.commits.boundaries import Reactor


@define(eq=False)
class Watch:
    """Looks, every so many seconds, whether a count has risen. One timer; for the reactor's thread.

    It ends when there is nothing to wait for, or when `stalled` says so.
    """

    _reactor: Reactor
    _count: Callable[[], int]
    _waits: Callable[[], bool]
    """Whether there is anything to wait for."""
    _stalled: Callable[[], bool]
    """Called when the count has not risen; whether to look on."""
    _timer: Any = field(default=None, init=False)

    def start(self, seconds: float) -> None:
        """Begin, if it has not: look in so many seconds, and again."""
        if self._timer is None:
            self._look_in(seconds)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_in(self, seconds: float) -> None:
        count = self._count()
        self._timer = self._reactor.callLater(seconds, lambda: self._look(seconds, count))

    def _look(self, seconds: float, before: int) -> None:
        self._timer = None
        if self._waits() and (self._count() != before or self._stalled()):
            self._look_in(seconds)
