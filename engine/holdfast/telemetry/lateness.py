"""How late the reactor is with what it has to do: the first sign that a process is overloaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import define, field

EVERY: Final = 0.5
"""Seconds between two measurements."""


@define(eq=False)
class Lateness:
    """Has the reactor call at a certain time, and tells how many seconds later it does."""

    _reactor: Any
    _tell: Callable[[float], object]
    _timer: Any = field(default=None, init=False)

    def start(self) -> None:
        """Measure, now and from now on."""
        due = self._reactor.seconds() + EVERY
        self._timer = self._reactor.callLater(EVERY, self._called, due)

    def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _called(self, due: float) -> None:
        self._tell(max(0.0, self._reactor.seconds() - due))
        self.start()
