"""Writing what is received: durable from time to time, and patient if the disk is full."""

import errno
from typing import Final, Protocol

from holdfast.errors import WormholeError
from holdfast.transfer.watcher import Watcher

DURABLE_EVERY: Final = 1.0
DURABLE_BYTES: Final = 64 * 1024 * 1024
"""After so many seconds or bytes, whichever is first, what was received is made durable."""

FULL_EVERY: Final = 2.0
FULL_LONGEST: Final = 600.0
"""If the disk is full, writing is tried again so often, and given up after so many seconds.

The other side waits meanwhile: no stock sender has a timer."""


class Writing(Protocol):
    """Where what is received is written."""

    def write(self, view: memoryview) -> None:
        """Append all of `view`."""

    def truncate(self, offset: int) -> None:
        """Forget what is behind `offset`, and go on there."""

    def sync(self) -> None:
        """Make durable what was written."""


class DiskFull(WormholeError):
    """There was no room on the receiver's disk for too long."""

    advice = "The disk is full. Make room and try again."


class Store:
    """What was received so far: `offset` bytes of it are in `landing`."""

    def __init__(self, landing: Writing, watcher: Watcher, offset: int) -> None:
        self.offset = offset
        self._landing = landing
        self._watcher = watcher
        self._durable = offset
        self._durable_at = watcher.now()

    def write(self, plain: memoryview) -> None:
        """Append `plain`, and make it durable with what came before if it is time.

        Raises:
            DiskFull: there was no room for too long. What was written before stays.
            WireError: the transfer was stopped while it waited for room.
            OSError: the file cannot be written for another reason.
        """
        try:
            self._landing.write(plain)
        except OSError as error:
            if not _is_full(error):
                raise
            self._wait_for_room(plain)
        self.offset += len(plain)
        if self.offset >= self._durable + DURABLE_BYTES or (
            self._watcher.now() >= self._durable_at + DURABLE_EVERY
        ):
            self.sync()

    def sync(self) -> None:
        """Make everything durable, and say so, if anybody wants to know.

        Raises:
            OSError: this failed. It is not tried again, because the system then may say that all is
                well although it is not.
        """
        if self._watcher.durable is None or self.offset == self._durable:
            return
        self._landing.sync()
        self._durable = self.offset
        self._durable_at = self._watcher.now()
        self._watcher.durable(self.offset)

    def _wait_for_room(self, plain: memoryview) -> None:
        watcher = self._watcher
        watcher.full()
        until = watcher.now() + FULL_LONGEST
        while watcher.now() < until:
            watcher.stop.wait(FULL_EVERY)
            watcher.check()
            try:
                self._landing.truncate(self.offset)  # a part of it may have been written
                self._landing.write(plain)
            except OSError as error:
                if not _is_full(error):
                    raise
            else:
                return
        raise DiskFull


def _is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
