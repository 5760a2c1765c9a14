"""One timer that is set, set anew and cleared."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.clock import Clock, Timer


class Alarm:
    """Makes one call, when it is time.

    Args:
        clock: the time.
        call: what is to be done.
    """

    __slots__ = ("_call", "_clock", "_timer")

    def __init__(self, clock: Clock, call: Callable[[], object]) -> None:
        self._clock = clock
        self._call = call
        self._timer: Timer | None = None

    @property
    def is_set(self) -> bool:
        """Whether the call is still to come."""
        return self._timer is not None

    def set(self, seconds: float) -> None:
        """Make the call in so many seconds, and not when it was to be made before."""
        self.clear()
        self._timer = self._clock.callLater(max(seconds, 0.0), self._ring)

    def clear(self) -> None:
        """Do not make the call."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        self._call()
