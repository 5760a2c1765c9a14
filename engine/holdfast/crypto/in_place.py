"""Boxes that are sealed and opened where they lie, without a copy (XSalsa20-Poly1305).

PyNaCl's public functions take and return `bytes`, which costs three copies of each record. So this
module calls libsodium as PyNaCl's own bindings do. libsodium allows the content to lie where its
box's body is ("Secret-key authenticated encryption"): a box is its authenticator, then its body.
The interpreter's lock is released meanwhile.
"""

from typing import Final

from nacl._sodium import ffi, lib

MAC_LENGTH: Final = 16
"""Bytes of the authenticator, in front of a box's body."""


class Place:
    """A buffer whose boxes are sealed and opened in it, under one key.

    Args:
        key: 32 bytes.
        buffer: it may not be resized as long as this object lives.
    """

    def __init__(self, key: bytes, buffer: bytearray) -> None:
        if len(key) != lib.crypto_secretbox_keybytes():
            raise ValueError(f"a key has 32 bytes, not {len(key)}")
        self._key = key
        self._length = len(buffer)
        self._start = ffi.from_buffer(buffer)

    def seal(self, nonce: bytes, at: int, length: int) -> None:
        """Make the box at offset `at`, of the `length` bytes that lie behind its authenticator."""
        self._check(nonce, at, length)
        box = self._start + at
        lib.crypto_secretbox_easy(box, box + MAC_LENGTH, length, nonce, self._key)

    def open(self, nonce: bytes, at: int, length: int) -> bool:
        """Open the box at offset `at`; its `length` bytes then lie behind its authenticator.

        Returns:
            Whether it was sealed with this key and nonce. If not, it was left as it is.
        """
        self._check(nonce, at, length)
        box = self._start + at
        opened: int = lib.crypto_secretbox_open_easy(
            box + MAC_LENGTH, box, MAC_LENGTH + length, nonce, self._key
        )
        return opened == 0

    def _check(self, nonce: bytes, at: int, length: int) -> None:
        # libsodium trusts its caller with all of these.
        if len(nonce) != 24 or at < 0 or length < 0 or at + MAC_LENGTH + length > self._length:
            raise ValueError("a box outside its buffer, or a nonce that has not 24 bytes")
