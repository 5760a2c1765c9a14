"""Records that stay in the socket until what they led to is done.

So what a process has not put away when it dies is still there for the next one, and the socket
always goes on where a record begins. For connections that are kept; see `holdfast.transit.bulk`.
"""

from contextlib import suppress
from typing import Final, Protocol

from holdfast.crypto.in_place import Place
from holdfast.transit.bulk import FRONT, HEADER, LENGTH_BYTES, ROOM, Incoming, announced, opened
from holdfast.transit.errors import RecordError
from holdfast.transit.wire import Wire

LONGEST: Final = FRONT + ROOM
"""Bytes of the longest record that is left in the socket; that of stock clients has 16 KiB."""

_BUFFER: Final = 2 * LONGEST


class Looks(Wire, Protocol):
    """A wire whose bytes may be looked at before they are taken; see `KeptWire`."""

    def look_into(self, buffer: memoryview, least: int) -> int:
        """Put what waits at the start of `buffer`, and leave it where it is."""

    def skip(self, length: int, scratch: memoryview) -> None:
        """Take bytes that were looked at."""

    def waiting(self) -> int:
        """How many bytes there are."""

    def forget(self) -> None:
        """It can be kept no longer."""


class Unread:
    """The records that come; see `holdfast.transit.bulk.Incoming` for what is the same.

    A record is taken from the socket when the next call comes, or by `took`. If a longer one comes
    than the system may hold, the connection is kept no longer, and goes on as others do.

    Args:
        wire: the connection.
        key: of the records.
        most: bytes of the longest record that is accepted.
        count: the number of the next record.
    """

    def __init__(self, wire: Looks, key: bytes, most: int, count: int = 0) -> None:
        self.wire = wire
        self._key = key
        self._most = most
        self._count = count
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._place = Place(key, self._buffer)
        self._returned = 0
        """Bytes of records that were returned, and are in the socket still."""
        self._plain: Incoming | None = None

    def next_number(self) -> int:
        """Wait for the next record, and return the number that it has."""
        self.wire.look_into(self._view, HEADER)
        number = int.from_bytes(self._view[LENGTH_BYTES:HEADER], "big")
        self._count = number
        return number

    def receive(self) -> memoryview:
        """Wait for the next record, and open it."""
        return self._next(0)[0]

    def receive_some(self, most: int) -> list[memoryview]:
        """Wait for the next record, and open it and what is here of those behind it."""
        return self._next(most)

    def took(self) -> None:
        """All that was returned is put away."""
        if self._returned:
            self.wire.skip(self._returned, self._view)
            self._returned = 0

    def by_aes(self) -> None:
        """Not for these: no stock client knows it."""
        raise RecordError

    def _next(self, most: int) -> list[memoryview]:
        self.took()
        if self._plain is None:
            have = self._wait()
            if self._plain is None:
                return self._open_some(have, most)
        return self._plain.receive_some(most) if most else [self._plain.receive()]

    def _wait(self) -> int:
        """Wait until the next record is there; return how many bytes are."""
        have = self.wire.look_into(self._view, LENGTH_BYTES)
        size = LENGTH_BYTES + announced(self._view, 0, self._most)
        if size <= LONGEST and have < size:
            have = self.wire.look_into(self._view, size)
        if have < size:
            self.wire.forget()
            self._plain = Incoming(self.wire, self._key, self._most, self._count)
        return have

    def _open_some(self, have: int, most: int) -> list[memoryview]:
        contents = [self._open()]
        most -= len(contents[0])
        with suppress(RecordError):  # the next call meets it again, and what is good comes first
            while most > 0 and have - self._returned >= LENGTH_BYTES:
                size = announced(self._view, self._returned, self._most)
                if have - self._returned < LENGTH_BYTES + size:
                    break
                contents.append(self._open())
                most -= len(contents[-1])
        return contents

    def _open(self) -> memoryview:
        start = self._returned
        size = announced(self._view, start, self._most)
        content = opened(self._view, self._place, start, size, self._count)
        self._count += 1
        self._returned += LENGTH_BYTES + size
        return content
