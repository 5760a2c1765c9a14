"""Whether the other side is still there: pings, and what to do when nothing comes.

Only the leader pings; every message that comes counts as a sign of life,
but bytes alone do not: those anybody on the way may send. The follower hears of a dead
connection from the operating system, or from the leader.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from holdfast.clock import Clock
from holdfast.dilation.alarm import Alarm
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
        self._interval = interval
        self._ping = ping
        self._silent = 0
        self._heard = 0
        """How many messages had come at the last look."""
        self._link: Link | None = None
        self._alarm = Alarm(clock, self._look)

    def begin(self, link: Link) -> None:
        """Look after this link from now on."""
        self._silent = 0
        self._heard = -1
        self._link = link
        self._alarm.set(self._interval)

    def end(self) -> None:
        """There is no link any more."""
        self._link = None
        self._alarm.clear()

    def _look(self) -> None:
        link = self._link
        if link is None:
            return
        # While we do not read, we cannot know.
        is_silent = link.heard == self._heard and link.is_reading
        self._heard = link.heard
        self._silent = self._silent + 1 if is_silent else 0
        self._alarm.set(self._interval)
        if self._silent >= MOST_SILENT:
            link.abort()
        else:
            self._ping()
