"""Writing what is received: durable from time to time, and patient if the disk is full."""

import errno
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from holdfast.transfer.errors import OutOfSpace
from holdfast.transfer.pieces import PieceSize, pieces
from holdfast.transfer.watcher import Watcher

DURABLE_EVERY: Final = 1.0
DURABLE_BYTES: Final = 64 * 1024 * 1024
"""After so many seconds or bytes, whichever is first, what was received is made durable."""

BEGIN_BYTES: Final = 4 * 1024 * 1024
"""After so many bytes the system is told to begin with them: waiting for all 64 MB took a fifth of
the time of a transfer over loopback, and a hundredth so."""

FULL_EVERY: Final = 2.0
FULL_LONGEST: Final = 600.0
"""If the disk is full, writing is tried again so often, and given up after so many seconds.

The other side waits meanwhile: no stock sender has a timer."""


class Writing(Protocol):
    """Where what is received is written."""

    def write(self, views: Sequence[memoryview]) -> None:
        """Append all `views`. After an error they are not counted, and may be written again."""

    def begin_sync(self, length: int) -> None:
        """Begin to make durable the last `length` bytes, without waiting."""

    def sync(self) -> None:
        """Make durable what was written."""


class Store:
    """What was received so far: `offset` bytes of it are in `landing`."""

    def __init__(self, landing: Writing, watcher: Watcher, offset: int) -> None:
        self.offset = offset
        self._landing = landing
        self._watcher = watcher
        self._size = PieceSize()
        self._begun = offset
        self._durable = offset
        self._durable_at = watcher.now()

    def write(self, contents: Iterable[memoryview]) -> None:
        """Append `contents`, and make it durable with what came before if it is time.

        Raises:
            OutOfSpace: there was no room for too long. What was written before stays.
            WireError: the transfer was stopped while it waited for room.
            OSError: the file cannot be written for another reason.
        """
        now = self._watcher.now
        for piece in pieces(contents, self.offset, self._size.bytes):
            begun = now()
            try:
                self._landing.write(piece)
            except OSError as error:
                if not _is_full(error):
                    raise
                self._wait_for_room(piece)
            length = sum(map(len, piece))
            self._size.wrote(length, now() - begun)
            self.offset += length
        if self._watcher.durable is not None:
            self._keep_up()

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

    def _keep_up(self) -> None:
        if self.offset >= self._begun + BEGIN_BYTES:
            self._landing.begin_sync(self.offset - self._begun)
            self._begun = self.offset
        much = self.offset >= self._durable + DURABLE_BYTES
        if much or self._watcher.now() >= self._durable_at + DURABLE_EVERY:
            self.sync()

    def _wait_for_room(self, piece: Sequence[memoryview]) -> None:
        watcher = self._watcher
        watcher.full()
        until = watcher.now() + FULL_LONGEST
        while watcher.now() < until:
            watcher.stop.wait(FULL_EVERY)
            watcher.check()
            try:
                self._landing.write(piece)
            except OSError as error:
                if not _is_full(error):
                    raise
            else:
                return
        raise OutOfSpace


def _is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
