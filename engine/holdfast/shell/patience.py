"""How long a wormhole that is closing waits for a server that does not answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

CLOSING_TIME: Final = 60.0
"""Seconds without any progress, on an open connection, after which the server is called mute."""


class Clock(Protocol):
    """What is needed of Twisted's reactor."""

    def seconds(self) -> float:
        """As IReactorTime has it."""
        ...

    def callLater(  # noqa: N802
        self, delay: float, function: Callable[[], object], /
    ) -> Any:
        """As IReactorTime has it."""
        ...


class Patience:
    """Calls `ended` with 1, 2, 3... each time when nothing has happened for `CLOSING_TIME`.

    Args:
        clock: Twisted's reactor.
        ended: hears how often in a row patience has come to its end.
        excused: whether it is not the server's fault; then the wait begins anew.
    """

    def __init__(
        self, clock: Clock, ended: Callable[[int], object], excused: Callable[[], bool]
    ) -> None:
        self._clock = clock
        self._ended = ended
        self._excused = excused
        self._timer: Any = None
        self._tries = 0

    def start(self) -> None:
        """Begin to wait, if not waiting already."""
        if self._timer is None:
            self._timer = self._clock.callLater(CLOSING_TIME, self._over)

    def progress(self) -> None:
        """Something happened: wait anew, from the next `start`."""
        self.stop()
        self._tries = 0

    def pause(self) -> None:
        """The connection is gone: wait anew, from the next `start`; what was counted counts."""
        self.stop()

    def stop(self) -> None:
        """Wait no longer."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _over(self) -> None:
        self._timer = None
        if self._excused():
            self.start()
            return
        self._tries += 1
        self._ended(self._tries)
