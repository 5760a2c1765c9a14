"""One timer for the heartbeats of any number of connections.

Thousands of wormholes wait at once, each with its own connection. A timer for each would cost more
than the rest of their waiting, so they share one.

The heartbeats are WebSocket's own pings, as in server-protocol.md, "Connection-Specific
(Client-to-Server) Messages"; the `ping` of the mailbox protocol is something else.
"""

from heapq import heappop, heappush
from typing import Final, Protocol

from attrs import define, field
from twisted.logger import Logger

from holdfast.rendezvous.boundaries import Clock, Timer

OVERSLEPT: Final = 5.0
"""If the timer is this many seconds late, the process must have been stopped meanwhile."""

AGAIN: Final = 60.0
"""Seconds until a failed heartbeat is tried again."""

CALLED_AT_ONCE: Final = 200
"""Heartbeats in one turn of the reactor, so that other work gets its turn."""

_log = Logger()


class Beats(Protocol):
    """What has a heartbeat."""

    def beat(self, now: float, *, overslept: bool) -> float | None:
        """Do what is due at `now`; return when to be called again, or None for never.

        If `overslept`, this call comes much too late, because the whole process or machine was
        stopped: silence until now proves nothing.
        """
        ...


@define(eq=False)
class Heartbeat:
    """Calls each of many connections when it asked for it.

    Times are seconds on `clock`.
    """

    clock: Clock
    _queue: list[tuple[float, int, Beats]] = field(factory=list, init=False, repr=False)
    _members: set[Beats] = field(factory=set, init=False, repr=False)
    _serial: int = field(default=0, init=False)
    _timer: Timer | None = field(default=None, init=False, repr=False)
    _due: float = field(default=0.0, init=False)

    def add(self, due: float, member: Beats) -> None:
        """Call `member` for the first time at `due`."""
        self._members.add(member)
        self._push(due, member)
        if self._timer is None or due < self._due:
            self._arm()

    def remove(self, member: Beats) -> None:
        """Call `member` no more; after the last one no timer is left behind."""
        self._members.discard(member)
        if not self._members:
            self._queue.clear()
            self._arm()

    def _push(self, due: float, member: Beats) -> None:
        # The serial number keeps the heap from comparing connections.
        self._serial += 1
        heappush(self._queue, (due, self._serial, member))

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._queue:
            self._due = self._queue[0][0]
            delay = max(0.0, self._due - self.clock.seconds())
            self._timer = self.clock.callLater(delay, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self.clock.seconds()
        for _ in range(CALLED_AT_ONCE):
            if not self._queue or self._queue[0][0] > now:
                break
            due, _, member = heappop(self._queue)
            if member not in self._members:
                continue
            try:
                again = member.beat(now, overslept=now - due > OVERSLEPT)
            except Exception:  # noqa: BLE001 - it is logged, and the others get theirs
                _log.failure("A heartbeat failed")
                again = now + AGAIN
            if again is None:
                self._members.discard(member)
            elif member in self._members:
                self._push(again, member)
        self._arm()
