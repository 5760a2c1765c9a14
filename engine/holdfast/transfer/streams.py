"""The bytes that go over the wire, read in order and from any offset."""

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from holdfast.transfer.errors import SourceChanged, SourceError
from holdfast.transfer.pulse import Pulse, Stop
from holdfast.transfer.tree import cannot_read, said

ROOM: Final = 128 * 1024
"""Bytes that are read at once for a digest: they are still in the processor's cache then."""

_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Stream(Protocol):
    """The bytes that go over the wire."""

    def read_into(self, view: memoryview) -> int:
        """Read the next bytes into `view`; return how many, 0 at the end.

        Raises:
            SourceChanged: it is not what was measured.
            SourceError: it cannot be read.
        """

    def seek(self, offset: int) -> None:
        """Go on at `offset`, without reading what is before."""

    def check(self) -> None:
        """Find out whether it is still what was measured.

        Raises:
            SourceChanged: it is not.
        """

    def close(self) -> None:
        """Close what is open."""


def digest_of(
    stream: Stream,
    length: int,
    *,
    progress: Callable[[int], None] | None = None,
    stop: Stop | None = None,
) -> str:
    """Return the SHA-256 of the first `length` bytes of `stream`, which is left behind them.

    Raises:
        SourceChanged: it has fewer, or is not what was measured.
        SourceError: it cannot be read.
        Stopped: as asked.
    """
    stream.seek(0)
    return digest(stream, length, Pulse(progress, stop))


def digest(stream: Stream, length: int, pulse: Pulse) -> str:
    """Return the SHA-256 of the next `length` bytes; errors as those of `digest_of`."""
    hasher, left = hashlib.sha256(), length
    room = memoryview(bytearray(min(ROOM, length)))
    while left:
        count = stream.read_into(room[:left])
        if not count:
            raise SourceChanged
        hasher.update(room[:count])
        left -= count
        pulse.beat(count)
    return hasher.hexdigest()


class FileStream:
    """One file, read as it is. `stamp` is that of what was measured; None while it is measured."""

    def __init__(self, path: Path, stamp: str | None = None) -> None:
        self._path = path
        self._position = 0
        try:
            self._file = os.open(path, _OPEN)
        except FileNotFoundError as error:
            raise SourceError(f"There is no {said(str(path))} to send.") from error
        except OSError as error:
            raise cannot_read(str(path), error) from error
        self._stamp = self._found() if stamp is None else stamp
        if not self._stamp:
            self.close()
            raise SourceError(
                f"{said(str(path))} is neither a file nor a folder, and cannot be sent."
            )

    @property
    def stamp(self) -> str:
        """Tells whether the file changed."""
        return self._stamp

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return os.fstat(self._file).st_size

    @property
    def changed_at(self) -> float:
        """When the file was last changed, in seconds since the epoch."""
        return os.fstat(self._file).st_mtime

    def read_into(self, view: memoryview) -> int:
        """Read the next bytes, as `Stream` does."""
        try:
            count = os.preadv(self._file, [view], self._position)
        except OSError as error:
            raise cannot_read(str(self._path), error) from error
        self.check()
        self._position += count
        return count

    def seek(self, offset: int) -> None:
        """Go on at `offset`."""
        self._position = offset

    def check(self) -> None:
        """Raise SourceChanged if the file is not as it was."""
        if self._found() != self._stamp:
            raise SourceChanged(f"{said(str(self._path))} has changed meanwhile. Send it again.")

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _found(self) -> str:
        found = os.fstat(self._file)
        is_file = stat.S_ISREG(found.st_mode)
        return f"{found.st_size} {found.st_mtime_ns} {found.st_ino}" if is_file else ""
