"""Whether the other side is still there: pings, and what to do when nothing comes.

Only the leader pings; everything that comes counts as a sign of life. The follower hears of a dead
connection from the operating system, or from the leader.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from holdfast.clock import Clock, Timer
from holdfast.dilation.link import Link

MOST_SILENT: Final = 2
"""Intervals without a sign of life after which a connection is given up."""


class Pulse:
    """Looks after one link after another.

    Args:
        clock: the time.
        interval: seconds between pings.
        ping: sends one.
    """

    def __init__(self, clock: Clock, interval: float, ping: Callable[[], None]) -> None:
        self._clock = clock
        self._interval = interval
        self._ping = ping
        self._silent = 0
        self._timer: Timer | None = None

    def begin(self, link: Link) -> None:
        """Look after this link from now on."""
        self._silent = 0
        self._timer = self._clock.callLater(self._interval, self._look, link)

    def end(self) -> None:
        """There is no link any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, link: Link) -> None:
        # While we do not read, we cannot know.
        heard, link.was_heard = link.was_heard or not link.is_reading, False
        self._silent = 0 if heard else self._silent + 1
        self._timer = self._clock.callLater(self._interval, self._look, link)
        if self._silent >= MOST_SILENT:
            link.abort()
        else:
            self._ping()
