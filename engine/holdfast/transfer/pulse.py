"""How long work tells that it goes on, and hears that it is to stop."""

import time
from collections.abc import Callable
from typing import Final, Protocol

from holdfast.transfer.errors import Stopped

EVERY: Final = 0.25
"""Seconds between two reports of progress: what an eye can follow."""


class Stop(Protocol):
    """What tells a thread to stop, such as `threading.Event`."""

    def is_set(self) -> bool:
        """Whether the thread is to stop."""


class Pulse:
    """Counts bytes, tells them now and then, and ends the work when it is to stop.

    Args:
        progress: called with the bytes done so far, at most every `EVERY` seconds.
        stop: asked between two pieces of work.
    """

    def __init__(
        self, progress: Callable[[int], None] | None = None, stop: Stop | None = None
    ) -> None:
        self._progress = progress
        self._stop = stop
        self._done = 0
        self._due = time.monotonic() + EVERY

    def beat(self, count: int = 0) -> None:
        """Count `count` more bytes.

        Raises:
            Stopped: the work is to stop.
        """
        if self._stop is not None and self._stop.is_set():
            raise Stopped
        self._done += count
        if count and self._progress is not None and (now := time.monotonic()) >= self._due:
            self._due = now + EVERY
            self._progress(self._done)
