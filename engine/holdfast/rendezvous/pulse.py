"""When to ping a server, and when its silence means that it is gone. Pure: no transport."""

from typing import Final

PING_INTERVAL: Final = 30.0
"""Seconds between our pings."""

SILENCE: Final = 75.0
"""Seconds without a single byte after which a connection is dead: two pings unanswered."""


class Pulse:
    """The pings of one open connection, and the last sign of its server.

    Times are seconds of a clock that never jumps.
    """

    # Thousands wait at once, and each of their objects counts.
    __slots__ = ("_ping_at", "heard_at")

    def __init__(self) -> None:
        self.heard_at = 0.0
        """When something came last; or when nothing was read, so that silence proves nothing."""
        self._ping_at = 0.0

    def begin(self, now: float) -> None:
        """The connection is open."""
        self._ping_at = now + PING_INTERVAL

    def overslept(self, now: float) -> None:
        """Give the server one more ping to answer: the process stood still.

        What came meanwhile is read later.
        """
        self.heard_at = max(self.heard_at, now - PING_INTERVAL)
        self._ping_at = now

    def is_dead(self, now: float) -> bool:
        """Whether the server was silent for too long."""
        return now >= self.heard_at + SILENCE

    def pings(self, now: float) -> bool:
        """Whether a ping is due `now`; if so, the next one is later."""
        if now < self._ping_at:
            return False
        self._ping_at = now + PING_INTERVAL
        return True

    @property
    def due_at(self) -> float:
        """When something is to be done."""
        return min(self._ping_at, self.heard_at + SILENCE)
