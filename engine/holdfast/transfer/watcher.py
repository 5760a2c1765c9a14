"""Who hears of a transfer while a thread moves its bytes, and may stop it."""

import time
from collections.abc import Callable
from typing import Final, Protocol

from attrs import frozen

from holdfast.transit.errors import WireError

PROGRESS_EVERY: Final = 0.25
"""Seconds between two reports of progress: what an eye can follow."""


class Stop(Protocol):
    """What tells a thread to stop, such as `threading.Event`."""

    def is_set(self) -> bool:
        """Whether the thread is to stop."""

    def wait(self, timeout: float) -> bool:
        """Wait `timeout` seconds, or until the thread is to stop; whether it is."""


@frozen(kw_only=True)
class Watcher:
    """What a thread tells and asks while it moves the bytes of a transfer, in that thread.

    Args:
        stop: set to end the transfer; interrupt the wire too, which may be waiting.
        progress: called with the offset that was reached, at most every `PROGRESS_EVERY` seconds,
            and at the end.
        durable: called with the offset up to which everything is durable; None if nobody wants to
            know, and nothing is made durable then.
        full: called when the disk is full; when there is room again, progress goes on.
        pace: called with the count of bytes that are about to leave, or have just come; it may wait
            until they may.
        now: seconds that only go forward.
    """

    stop: Stop
    progress: Callable[[int], None] = lambda _: None
    durable: Callable[[int], None] | None = None
    full: Callable[[], None] = lambda: None
    pace: Callable[[int], None] = lambda _: None
    now: Callable[[], float] = time.monotonic

    def check(self) -> None:
        """Raise WireError if the transfer is to stop."""
        if self.stop.is_set():
            raise WireError("The transfer was interrupted.")


class Progress:
    """Tells a watcher of progress, and not more often than it wants to hear of it."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._told_at = watcher.now()

    def reached(self, offset: int) -> None:
        """`offset` was reached."""
        now = self._watcher.now()
        if now >= self._told_at + PROGRESS_EVERY:
            self._told_at = now
            self._watcher.progress(offset)
