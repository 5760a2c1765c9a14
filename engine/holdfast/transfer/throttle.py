"""How fast all transfers of a process may be together, and how they wait for each other."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Final

from attrs import define, field

from holdfast.transfer.watcher import Stop

SLOWEST: Final = 16_000
"""Bytes a second of the lowest limit: with a hundred transfers that take turns, each still moves a
record before the other side's patience is over (`holdfast.transit.wire.IDLE`)."""

ITS_TURN: Final = "its turn, behind other files"
"""What a sender waits for, as its flow shows it, while too many others are sent."""


@define(eq=False)
class Throttle:
    """Hands out one after the other the times at which bytes may move; for any number of threads.

    Args:
        rate: bytes a second, of all together.
        now: seconds that only go forward.
    """

    rate: float
    _now: Callable[[], float] = time.monotonic
    _free_at: float = field(default=0.0, init=False)
    """When those that have asked until now are through."""
    _lock: Lock = field(factory=Lock, init=False)

    def take(self, count: int, stop: Stop) -> None:
        """Wait until `count` more bytes may move, or until `stop` is set."""
        with self._lock:
            now = self._now()
            begins = max(now, self._free_at)
            self._free_at = begins + count / self.rate
        if begins > now:
            stop.wait(begins - now)
