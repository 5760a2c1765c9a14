"""When a lost connection is replaced: a moment later, or much later if they are of no use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from holdfast.clock import Clock
from holdfast.dilation.alarm import Alarm

AFTER_ABORT: Final = 0.1
"""Seconds between the end of a connection and the leader's `reconnect`.

A stock follower that hears of `reconnect` first, and has much to send, never gets out of it."""

LONGEST_PAUSE: Final = 60.0
"""Seconds of that pause at most: it doubles after each connection on which nothing came."""


class Anew:
    """The time between one connection and the next effort.

    Args:
        clock: the time.
        call: begins the next effort.
    """

    def __init__(self, clock: Clock, call: Callable[[], object]) -> None:
        self._alarm = Alarm(clock, call)
        self._pause = AFTER_ABORT

    def lost(self, *, useful: bool, leader: bool) -> None:
        """A connection is gone; `useful` if anything came through. Followers need not wait."""
        self._pause = AFTER_ABORT if useful else min(2 * self._pause, LONGEST_PAUSE)
        self._alarm.set(self._pause if leader else 0.0)

    def clear(self) -> None:
        """The next effort has begun, or is not wanted."""
        self._alarm.clear()
