"""When a lost connection is replaced: a moment later, or much later if they are of no use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from holdfast.clock import Clock
from holdfast.dilation.alarm import Alarm

AFTER_ABORT: Final = 0.1
"""Seconds between the end of a connection and the leader's `reconnect`.

A stock follower that hears of `reconnect` first, and has much to send, never gets out of it."""

FEW: Final = 3
"""Connections of no use, one after another, that are borne: a network may be that bad."""

LONGEST_PAUSE: Final = 5.0
"""Seconds of that pause at most; it doubles with each further one on which nothing came."""

LONGEST_PUNISHMENT: Final = 60.0
"""The same if the other side does something wrong on each: a pause is two stored messages."""


class Anew:
    """The time between one connection and the next effort.

    Args:
        clock: the time.
        call: begins the next effort.
    """

    def __init__(self, clock: Clock, call: Callable[[], object]) -> None:
        self._alarm = Alarm(clock, call)
        self._useless = 0

    def lost(self, *, useful: bool, wrong: bool, leader: bool) -> None:
        """A connection is gone. Followers need not wait.

        Args:
            useful: whether anything came through.
            wrong: whether it was broken off because the other side did something wrong.
            leader: whether we lead.
        """
        self._useless = 0 if useful and not wrong else self._useless + 1
        longest = LONGEST_PUNISHMENT if wrong else LONGEST_PAUSE
        pause = AFTER_ABORT * 2.0 ** min(max(self._useless - FEW, 0), 10)
        self._alarm.set(min(pause, longest) if leader else 0.0)

    def clear(self) -> None:
        """The next effort has begun, or is not wanted."""
        self._alarm.clear()
