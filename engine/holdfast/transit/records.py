"""The records of a connection, without the connection (transit.md, "Record encryption"); pure.

For connections that Twisted keeps. What moves a file is `holdfast.transit.bulk`, which copies less.
"""

from collections.abc import Iterator
from typing import Final

from holdfast.crypto import CannotUnseal, seal, unseal
from holdfast.transit.bulk import LENGTH_BYTES, MOST, NONCE_BYTES
from holdfast.transit.errors import RecordError

SHORTEST: Final = NONCE_BYTES + 16
"""Bytes of the shortest record: a nonce and an authenticator around nothing."""


class Sealer:
    """Makes records of what is sent.

    Args:
        key: 32 bytes, never used for another connection.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._count = 0

    def seal(self, plain: bytes) -> bytes:
        """`plain` as the next record, its length in front.

        Raises:
            ValueError: it has more than 64 MiB less 40 bytes, and peers need not take it.
        """
        if len(plain) > MOST - SHORTEST:
            raise ValueError(f"a record has at most {MOST - SHORTEST:,} bytes, not {len(plain):,}")
        nonce = self._count.to_bytes(NONCE_BYTES, "big")
        self._count += 1
        box = seal(self._key, plain, nonce)
        return len(box).to_bytes(LENGTH_BYTES, "big") + box


class Opener:
    """Finds the records in what comes, however it was cut.

    Args:
        key: 32 bytes.
        most: bytes of the longest record that is accepted, nonce and authenticator included. No
            more than that, and what came last, is kept.
    """

    def __init__(self, key: bytes, most: int = MOST) -> None:
        self._key = key
        self._most = most
        self._count = 0
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the bytes that came next; yield the contents of the records that are whole.

        Raises:
            RecordError: the next record is no good, and neither are those that would follow.
        """
        buffer = self._buffer
        buffer += data
        start = 0
        try:
            while len(buffer) - start >= LENGTH_BYTES:
                end = start + LENGTH_BYTES + self._length(start)
                self._check_nonce(start + LENGTH_BYTES)
                if len(buffer) < end:
                    break
                record = self._open(bytes(memoryview(buffer)[start + LENGTH_BYTES : end]))
                start = end
                yield record
        finally:
            del buffer[:start]

    def _length(self, start: int) -> int:
        length = int.from_bytes(self._buffer[start : start + LENGTH_BYTES], "big")
        if not SHORTEST <= length <= self._most:
            raise RecordError(f"The other side sent a record of {length} bytes.")
        return length

    def _check_nonce(self, at: int) -> None:
        nonce = bytes(self._buffer[at : at + NONCE_BYTES])
        if not self._count.to_bytes(NONCE_BYTES, "big").startswith(nonce):
            raise RecordError("The other side sent a record out of order.")

    def _open(self, box: bytes) -> bytes:
        self._count += 1
        try:
            return unseal(self._key, box)
        except CannotUnseal:
            words = "A record was not sealed by the other side, or was changed."
            raise RecordError(words) from None
