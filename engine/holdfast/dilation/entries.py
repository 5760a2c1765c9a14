"""Journal entries of dilation: what happens in them, and when.

What an application writes to subchannels, and what comes for it, is gathered for a moment, so that
much of it shares one commit. `Host` is what the wormhole is for its dilation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from holdfast.clock import Clock, Timer
from holdfast.status import Status
from holdfast.transit.network import Network

if TYPE_CHECKING:
    from holdfast.dilation.dilated import DilatedWormhole

MOST_CALLS: Final = 500
"""Calls in one entry; then the reactor does something else."""


class Host(Protocol):
    """The wormhole that is dilated."""

    @property
    def clock(self) -> Clock:
        """The time that timers have."""
        ...

    @property
    def network(self) -> Network:
        """Where connections are made."""
        ...

    @property
    def delay(self) -> float:
        """Seconds for which a commit waits for more; 0 if nothing is stored."""
        ...

    @property
    def careful(self) -> bool:
        """Whether each record has an entry of its own, since the application failed recently."""
        ...

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def entropy(self, length: int) -> bytes:
        """Random bytes."""
        ...

    def key(self) -> bytes:
        """The key that is derived for dilation, 32 bytes."""
        ...

    def status(self) -> Status:
        """How the wormhole stands."""
        ...

    def within(self, do: Callable[[], object]) -> None:
        """Call `do` inside one journal entry, whose commit follows.

        What it raises is the application's failure, and reaches nobody else.
        """
        ...

    def say(self, body: bytes) -> None:
        """Send a phase; inside an entry."""
        ...

    def later(self, call: Callable[..., object], *args: object) -> None:
        """Call it behind the commit of this entry."""
        ...

    def told(self, dilated: DilatedWormhole) -> None:
        """The application may use it; inside an entry."""
        ...

    def cannot(self, error: Exception) -> None:
        """There is no dilation, or no longer; inside an entry."""
        ...


class Entries:
    """Has calls made inside journal entries, several together.

    Args:
        host: the wormhole.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._clock = host.clock
        self._delay = host.delay
        self._calls: deque[Callable[[], Any]] = deque()
        self._timer: Timer | None = None
        self.is_stopped = False

    def soon(self, call: Callable[[], Any]) -> None:
        """Make `call` in the next entry, in a later turn of the reactor."""
        self._calls.append(call)
        self._want(0.0)

    def commit(self) -> None:
        """Something has changed that has to be durable."""
        if self._timer is None:
            self._want(self._delay)

    def now(self, call: Callable[[], Any]) -> None:
        """Make `call` in an entry of its own, now."""
        if not self.is_stopped:
            self._host.within(call)

    @property
    def are_wanted(self) -> bool:
        """Whether another entry is to come."""
        return self._timer is not None

    def saved(self) -> None:
        """Everything until now is in an entry whose commit follows."""
        if self._timer is not None and not self._calls:
            self._timer.cancel()
            self._timer = None

    def stop(self) -> None:
        """Make no more calls."""
        self.is_stopped = True
        self._calls.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _want(self, delay: float) -> None:
        if self._timer is None and not self.is_stopped:
            self._timer = self._clock.callLater(delay, self._run)

    def _run(self) -> None:
        self._timer = None
        self._host.within(self._make_calls)

    def _make_calls(self) -> None:
        # What is added meanwhile is made too, but not without end.
        for _ in range(MOST_CALLS):
            if not self._calls:
                return
            self._calls.popleft()()
        self._want(0.0)
