"""The frames of a connection: a length, and one plaintext encrypted (dilation-protocol.md); pure.

A plaintext longer than one Noise message is several of them, each of which but the last is full.
"""

from __future__ import annotations

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
    if len(plaintext) <= ONE_MESSAGE:
        sealed = cipher.encrypt(plaintext)
        return LENGTH.pack(len(sealed)) + sealed
    if len(plaintext) > MOST_PLAIN:
        raise ValueError(f"a frame carries at most {MOST_PLAIN:,} bytes, not {len(plaintext):,}")
    rest = memoryview(plaintext)
    messages = [
        cipher.encrypt(rest[at : at + ONE_MESSAGE]) for at in range(0, len(rest), ONE_MESSAGE)
    ]
    return b"".join((LENGTH.pack(sum(map(len, messages))), *messages))


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
        """The frame that is not whole yet."""

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
        while end - at >= LENGTH.size:
            stop = at + LENGTH.size + self._length(data, at)
            if stop > end:
                break
            plaintexts.append(self._open(view[at + LENGTH.size : stop]))
            at = stop
        if at < end:
            self._begun += view[at:]
        return plaintexts

    def _finish(self, data: memoryview, plaintexts: list[bytes]) -> int:
        """Complete the frame that was begun, if `data` is enough; how much of `data` it took."""
        begun = self._begun
        taken = max(LENGTH.size - len(begun), 0)
        begun += data[:taken]
        if len(begun) < LENGTH.size:
            return len(data)
        size = LENGTH.size + self._length(begun, 0)
        missing = size - len(begun)
        begun += data[taken : taken + missing]
        if len(begun) < size:
            return len(data)
        self._begun = bytearray()
        plaintexts.append(self._open(memoryview(begun)[LENGTH.size :]))
        return taken + missing

    def _length(self, data: bytes | bytearray, at: int) -> int:
        length: int = LENGTH.unpack_from(data, at)[0]
        if not TAG_LENGTH <= length <= self._most:
            raise ProtocolError(f"a frame of {length} bytes")
        return length

    def _open(self, sealed: memoryview) -> bytes:
        decrypt = self._cipher.decrypt
        if len(sealed) <= LONGEST:
            return decrypt(sealed)
        return b"".join(
            [decrypt(sealed[at : at + LONGEST]) for at in range(0, len(sealed), LONGEST)]
        )
