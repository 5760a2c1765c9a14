"""The frames of a connection: a length, and one plaintext encrypted (dilation-protocol.md); pure.

A plaintext longer than one Noise message is several of them, each of which but the last is full.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final

from holdfast.dilation.errors import ProtocolError
from holdfast.dilation.noise import LONGEST, TAG_LENGTH, Cipher

MOST: Final = 64 * 2**20
"""Bytes of the longest frame that we accept. Stock has no limit."""

MOST_PLAIN: Final = MOST - MOST // LONGEST * TAG_LENGTH - TAG_LENGTH
"""Bytes of the longest plaintext that fits."""

ONE_MESSAGE: Final = LONGEST - TAG_LENGTH
"""Bytes of the longest plaintext of one Noise message."""

LENGTH: Final = Struct(">I")


def frame(cipher: Cipher, plaintext: bytes) -> bytes:
    """`plaintext` as the next frame.

    Raises:
        ValueError: it has more than `MOST_PLAIN` bytes, and a peer need not take it.
    """
    return frames(cipher, (plaintext,))


def frames(cipher: Cipher, plaintexts: Iterable[bytes]) -> bytes:
    """All of these as the next frames, one behind the other: what was encrypted is copied once.

    Raises:
        ValueError: one of them has more than `MOST_PLAIN` bytes.
    """
    parts: list[bytes] = []
    for plaintext in plaintexts:
        if len(plaintext) <= ONE_MESSAGE:
            sealed = cipher.encrypt(plaintext)
            parts += (LENGTH.pack(len(sealed)), sealed)
        else:
            parts += pieces(cipher, plaintext)
    return b"".join(parts)


def pieces(cipher: Cipher, plaintext: bytes) -> Iterator[bytes]:
    """The same piece by piece, for a long one: its length, then one Noise message after another.

    Nothing else must be encrypted before the last.

    Raises:
        ValueError: it has more than `MOST_PLAIN` bytes.
    """
    size = len(plaintext)
    if size > MOST_PLAIN:
        raise ValueError(f"a frame carries at most {MOST_PLAIN:,} bytes, not {size:,}")
    messages = -(-size // ONE_MESSAGE) or 1
    yield LENGTH.pack(size + messages * TAG_LENGTH)
    rest = memoryview(plaintext)
    for at in range(0, messages * ONE_MESSAGE, ONE_MESSAGE):
        yield cipher.encrypt(rest[at : at + ONE_MESSAGE])


class Frames:
    """Finds the frames in what comes, however it was cut, and decrypts them.

    Args:
        cipher: decrypts.
        most: bytes of the longest frame that is accepted. No more than that, and what came last,
            is kept.
    """

    def __init__(self, cipher: Cipher, most: int = MOST) -> None:
        self._cipher = cipher
        self._most = most
        self._begun = bytearray()
        """The piece that is not whole yet: a frame, or the length or one message of a long one."""
        self._left = 0
        """Bytes of the long frame that are still to come."""
        self._opened: list[bytes] = []
        """What its messages so far have held."""

    def feed(self, data: bytes) -> list[bytes]:
        """Take the bytes that came next.

        Returns:
            The plaintexts of the frames that are whole now.

        Raises:
            ProtocolError: the next frame is too long or too short.
            NoiseError: it was not encrypted by the other side, or not in this order. After either
                nothing more can be read.
        """
        plaintexts: list[bytes] = []
        view = memoryview(data)
        at = self._finish(view, plaintexts) if self._begun else 0
        end = len(data)
        while at < end:
            size = self._size(data, at)
            if not size or at + size > end:
                self._begun += view[at:]
                break
            self._take(view[at : at + size], plaintexts)
            at += size
        return plaintexts

    def _finish(self, data: memoryview, plaintexts: list[bytes]) -> int:
        """Complete the piece that was begun, if `data` is enough; how much of `data` it took."""
        begun, taken = self._begun, 0
        while True:
            size = self._size(begun, 0)
            missing = (size or LENGTH.size) - len(begun)
            begun += data[taken : taken + missing]
            taken = min(taken + missing, len(data))
            if len(begun) < (size or LENGTH.size):
                return taken
            if size:
                self._begun = bytearray()
                self._take(memoryview(begun), plaintexts)
                return taken

    def _size(self, data: bytes | bytearray, at: int) -> int:
        """How long the piece is that begins there; 0 if that cannot be seen yet."""
        if self._left:
            return min(self._left, LONGEST)
        if len(data) - at < LENGTH.size:
            return 0
        length: int = LENGTH.unpack_from(data, at)[0]
        if not TAG_LENGTH <= length <= self._most:
            raise ProtocolError(f"a frame of {length} bytes")
        return LENGTH.size + length if length <= LONGEST else LENGTH.size

    def _take(self, piece: memoryview, plaintexts: list[bytes]) -> None:
        if self._left:
            self._opened.append(self._cipher.decrypt(piece))
            self._left -= len(piece)
            if not self._left:
                opened, self._opened = self._opened, []
                plaintexts.append(b"".join(opened))
        elif len(piece) == LENGTH.size:
            self._left = LENGTH.unpack(piece)[0]
        else:
            plaintexts.append(self._cipher.decrypt(piece[LENGTH.size :]))
