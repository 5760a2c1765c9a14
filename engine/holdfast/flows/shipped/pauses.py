"""When a transfer tries something again: a pause that doubles, and the one timer that there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import define, field

FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 60.0
"""Seconds between two attempts to connect to another Holdfast, which double."""


@define(eq=False)
class Pauses:
    """Calls something later, and nothing else meanwhile."""

    _reactor: Any
    current: float = field(default=FIRST_PAUSE, init=False)
    """Seconds of the next pause."""
    _timer: Any = field(default=None, init=False)

    def next(self) -> float:
        """Return the seconds of the next pause; the one after it is longer."""
        pause = self.current
        self.current = min(LONGEST_PAUSE, 2 * pause)
        return pause

    def shorten(self) -> None:
        """It went well, so the next pause is short."""
        self.current = FIRST_PAUSE

    def after(self, seconds: float, call: Callable[..., object], *args: object) -> None:
        """Call `call` after so many seconds, in place of whatever was to be called before."""

        def now() -> None:
            self._timer = None
            call(*args)

        self.calm()
        self._timer = self._reactor.callLater(seconds, now)

    def calm(self) -> None:
        """Call nothing."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
