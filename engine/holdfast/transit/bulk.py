"""The records of a transfer's bulk, through a `Wire`, without a copy (transit.md, "Records").

A record is its length (4 bytes, big-endian), a nonce (24) and a box. The nonces of each direction
count from zero, big-endian as all clients have them, so records cannot be left out, repeated or
reordered.

Two Holdfasts may agree, in records, on another cipher for those that follow. It has a key of its
own, and the nonces go on counting.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from holdfast.crypto import derive
from holdfast.crypto.in_place import KEY_LENGTH, MAC_LENGTH, AesPlace, Boxes, Place
from holdfast.transit.errors import RecordError, WireError
from holdfast.transit.wire import Wire

LENGTH_BYTES: Final = 4
NONCE_BYTES: Final = 24
HEADER: Final = LENGTH_BYTES + NONCE_BYTES
FRONT: Final = HEADER + MAC_LENGTH
"""Bytes of a record in front of its content."""

ROOM: Final = 128 * 1024
"""Bytes of content in the largest record that is sent: where all receivers are fast.

Whole pages, so that a receiver's file is written in whole pages, too."""

MOST: Final = 64 * 1024 * 1024
"""Bytes of the longest record that is accepted, nonce and authenticator included, by default."""

START: Final = 2 * (FRONT + ROOM) + 4096
"""Bytes of the receive buffer, until a record does not fit in.

Two of our own largest, so that little of a third one is to be moved to the front."""

AES: Final = "aes-256-gcm"
"""The other cipher. It needs instructions of the processor: without them it is the slower one."""


def bytes_of_records(size: int) -> int:
    """Return how many bytes the records have in which `size` bytes are sent, as we cut them."""
    return size + FRONT * -(-size // ROOM)


class Bulk:
    """Records to and from the other side of one connection.

    Args:
        wire: the connection.
        send_key: 32 bytes, the key of the records that are sent; never used for another connection.
        receive_key: 32 bytes, the key of those that come.
        most: bytes of the longest record that is accepted, nonce and authenticator included.
        incoming: receives the records, instead of what does so by default.
    """

    def __init__(
        self,
        wire: Wire,
        send_key: bytes,
        receive_key: bytes,
        most: int = MOST,
        *,
        incoming: "Comes | None" = None,
    ) -> None:
        self.wire = wire
        self._outgoing = Outgoing(wire, send_key)
        self._incoming = Incoming(wire, receive_key, most) if incoming is None else incoming

    @property
    def room(self) -> memoryview:
        """Where the content of the next record may be put, for `send_room`."""
        return self._outgoing.room

    def send_room(self, length: int) -> None:
        """Send the first `length` bytes of `room` as one record. `room` is overwritten.

        Raises:
            WireError: the connection broke.
        """
        self._outgoing.send_room(length)

    def send(self, plain: bytes | bytearray | memoryview) -> None:
        """Send `plain`, at most `ROOM` bytes, as one record.

        Raises:
            WireError: the connection broke.
        """
        self.room[: len(plain)] = plain
        self._outgoing.send_room(len(plain))

    def go_on_sending(self, number: int, sent: int) -> None:
        """Begin with the record of this number, whose first `sent` bytes have been sent before."""
        self._outgoing.count, self._outgoing.skip = number, sent

    def send_by_aes(self) -> None:
        """Seal by AES-256-GCM what is sent from now on; the other side must know."""
        self._outgoing.by_aes()

    def receive(self) -> memoryview:
        """Wait for the next record; its content is valid until the next call.

        Raises:
            RecordError: the other side sent something else.
            WireError: the connection ended or broke.
        """
        return self._incoming.receive()

    def receive_some(self, most: int) -> list[memoryview]:
        """Wait for the next record; return it and those behind it that are here by now.

        Args:
            most: when they have so many bytes, no more of them are returned.

        Returns:
            One or more contents, which are valid until the next call.

        Raises:
            RecordError: the other side sent something else.
            WireError: the connection ended or broke.
        """
        return self._incoming.receive_some(most)

    def took(self) -> None:
        """What was received is put away; it may be forgotten now."""
        self._incoming.took()

    def receive_by_aes(self) -> None:
        """Open by AES-256-GCM what was not returned yet."""
        self._incoming.by_aes()


class Comes(Protocol):
    """The records that come; see `Bulk` for what these methods do."""

    def receive(self) -> memoryview:
        """Wait for the next record."""

    def receive_some(self, most: int) -> list[memoryview]:
        """Wait for the next record; return those behind it, too."""

    def took(self) -> None:
        """What was received is put away."""

    def by_aes(self) -> None:
        """Go on with the other cipher."""


class Outgoing:
    """The records that are sent, sealed in the buffer that they are sent from."""

    def __init__(self, wire: Wire, key: bytes) -> None:
        self.count = 0
        """The number of the next record."""
        self.skip = 0
        """Bytes of it that have been sent already."""
        self._wire = wire
        self._key = key
        self._buffer = bytearray(FRONT + ROOM)
        self._view = memoryview(self._buffer)
        self._seal_by(Place(key, self._buffer))

    def by_aes(self) -> None:
        """Go on with the other cipher."""
        self._seal_by(AesPlace(_aes_key(self._key), self._buffer))

    def _seal_by(self, place: Boxes) -> None:
        self._place = place
        self.room = self._view[HEADER + place.before :][:ROOM]

    def send_room(self, length: int) -> None:
        """Seal and send the first `length` bytes of `room`."""
        nonce = self.count.to_bytes(NONCE_BYTES, "big")
        self.count += 1
        self._place.seal(nonce, HEADER, length)
        size = FRONT - LENGTH_BYTES + length
        self._view[:HEADER] = size.to_bytes(LENGTH_BYTES, "big") + nonce
        skip, self.skip = self.skip, 0
        self._wire.send(self._view[skip : LENGTH_BYTES + size])


def announced(view: memoryview, start: int, most: int) -> int:
    """Return the bytes of the record at `start`, behind its length. Raises RecordError."""
    size = int.from_bytes(view[start : start + LENGTH_BYTES], "big")
    if not FRONT - LENGTH_BYTES <= size <= most:
        raise RecordError(f"The other side sent a record of {size} bytes.")
    return size


def opened(view: memoryview, place: Boxes, start: int, size: int, count: int) -> memoryview:
    """Open the record number `count` at `start`, all of which is in `view`. Raises RecordError."""
    nonce = count.to_bytes(NONCE_BYTES, "big")
    if view[start + LENGTH_BYTES : start + HEADER] != nonce:
        raise RecordError("The other side sent a record out of order.")
    length = size + LENGTH_BYTES - FRONT
    if not place.open(nonce, start + HEADER, length):
        raise RecordError("A record was not sealed by the other side, or was changed.")
    content = start + HEADER + place.before
    return view[content : content + length]


class Incoming:
    """The records that come, opened in the buffer that they were received into.

    The buffer holds what was received and not yet returned, from `_start` to `_end`.
    """

    def __init__(self, wire: Wire, key: bytes, most: int, count: int = 0) -> None:
        self._wire = wire
        self._key = key
        self._boxes: Callable[[bytes, bytearray], Boxes] = Place
        self._most = most
        self._count = count
        self._start = 0
        self._end = 0
        self._view = memoryview(b"")
        self._place: Boxes
        self._allocate(START)

    def by_aes(self) -> None:
        """Go on with the other cipher."""
        self._key = _aes_key(self._key)
        self._boxes = AesPlace
        self._place = self._boxes(self._key, self._buffer)

    def receive(self) -> memoryview:
        """Wait for the next record, and open it."""
        self._need(LENGTH_BYTES)
        size = self._announced()
        self._need(LENGTH_BYTES + size)
        return self._open(size)

    def receive_some(self, most: int) -> list[memoryview]:
        """Wait for the next record, and open it and what is here of those behind it."""
        contents = [self.receive()]
        most -= len(contents[0])
        with suppress(RecordError):  # the next call meets it again, and what is good comes first
            while most > 0 and (here := self._end - self._start) >= LENGTH_BYTES:
                size = self._announced()
                if here < LENGTH_BYTES + size:
                    break
                contents.append(self._open(size))
                most -= len(contents[-1])
        return contents

    def took(self) -> None:
        """They have left the socket already."""

    def _announced(self) -> int:
        """The bytes of the next record, behind its length."""
        return announced(self._view, self._start, self._most)

    def _open(self, size: int) -> memoryview:
        """Open the next record, all of which is here."""
        content = opened(self._view, self._place, self._start, size, self._count)
        self._count += 1
        self._start += LENGTH_BYTES + size
        return content

    def _need(self, length: int) -> None:
        """Wait until the buffer holds `length` bytes from `_start` on."""
        if self._start == self._end:
            self._start = self._end = 0
        while self._end - self._start < length:
            # Little is left to be moved in the second half, and much may be received then.
            if self._start + length > len(self._view) or 2 * self._start > len(self._view):
                self._to_front()
            if self._end == len(self._view):
                # By what has arrived, and not by what a length announces.
                self._allocate(min(2 * len(self._view), self._most + LENGTH_BYTES))
            count = self._wire.receive_into(self._view[self._end :])
            if count == 0:
                raise WireError("The other side closed the connection.")
            self._end += count

    def _to_front(self) -> None:
        if self._start == 0:
            return
        have = self._end - self._start
        self._view[:have] = self._view[self._start : self._end]
        self._start, self._end = 0, have

    def _allocate(self, length: int) -> None:
        buffer = bytearray(length)
        view = memoryview(buffer)
        if self._end:
            view[: self._end] = self._view[: self._end]
        self._buffer, self._view = buffer, view
        self._place = self._boxes(self._key, buffer)


def _aes_key(key: bytes) -> bytes:
    return derive(key, f"holdfast records by {AES}", KEY_LENGTH)
