"""Boxes that are sealed and opened where they lie, without a copy.

`Place` has XSalsa20-Poly1305, which all clients know. PyNaCl's public functions for it take and
return `bytes`, which costs three copies of each record. So this module calls libsodium as PyNaCl's
own bindings do. libsodium allows the content to lie where its box's body is ("Secret-key
authenticated encryption"): a box is its authenticator, then its body.

`AesPlace` has AES-256-GCM, which takes a tenth of the time where the processor has instructions for
it (NIST SP 800-38D): a box is its body, then its authenticator.

The interpreter's lock is released meanwhile.
"""

from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl._sodium import ffi, lib

MAC_LENGTH: Final = 16
"""Bytes of a box's authenticator."""

KEY_LENGTH: Final = 32
NONCE_LENGTH: Final = 24


class Boxes(Protocol):
    """A buffer whose boxes are sealed and opened in it, under one key."""

    before: int
    """Bytes of a box in front of its content."""

    def seal(self, nonce: bytes, at: int, length: int) -> None:
        """Make the box at offset `at`, of the `length` bytes that lie `before` bytes behind it."""

    def open(self, nonce: bytes, at: int, length: int) -> bool:
        """Open the box at offset `at`; its `length` bytes then lie `before` bytes behind it.

        Returns:
            Whether it was sealed with this key and nonce. If not, what lies there is of no use.
        """


class Place:
    """Boxes of XSalsa20-Poly1305; see `Boxes`.

    Args:
        key: 32 bytes.
        buffer: it may not be resized as long as this object lives.
    """

    before = MAC_LENGTH

    def __init__(self, key: bytes, buffer: bytearray) -> None:
        _check_key(key)
        self._key = key
        self._length = len(buffer)
        self._start = ffi.from_buffer(buffer)

    def seal(self, nonce: bytes, at: int, length: int) -> None:
        """Make the box at offset `at`, of the `length` bytes that lie behind its authenticator."""
        _check(self._length, nonce, at, length)
        box = self._start + at
        lib.crypto_secretbox_easy(box, box + MAC_LENGTH, length, nonce, self._key)

    def open(self, nonce: bytes, at: int, length: int) -> bool:
        """Open the box at offset `at`; its `length` bytes then lie behind its authenticator."""
        _check(self._length, nonce, at, length)
        box = self._start + at
        opened: int = lib.crypto_secretbox_open_easy(
            box + MAC_LENGTH, box, MAC_LENGTH + length, nonce, self._key
        )
        return opened == 0


class AesPlace:
    """Boxes of AES-256-GCM; see `Boxes`.

    Args:
        key: 32 bytes.
        buffer: it may not be resized as long as this object lives.
    """

    before = 0

    def __init__(self, key: bytes, buffer: bytearray) -> None:
        _check_key(key)
        self._key = key
        self._cipher = AESGCM(key)
        self._view = memoryview(buffer)

    def seal(self, nonce: bytes, at: int, length: int) -> None:
        """Make the box at offset `at`, of the `length` bytes that lie there."""
        plain, box = self._parts(nonce, at, length)
        self._cipher.encrypt_into(_short(nonce), plain, None, box)

    def open(self, nonce: bytes, at: int, length: int) -> bool:
        """Open the box at offset `at`; its `length` bytes then lie there."""
        plain, box = self._parts(nonce, at, length)
        try:
            self._cipher.decrypt_into(_short(nonce), box, None, plain)
        except InvalidTag:
            return False
        return True

    def _parts(self, nonce: bytes, at: int, length: int) -> tuple[memoryview, memoryview]:
        _check(len(self._view), nonce, at, length)
        return self._view[at : at + length], self._view[at : at + length + MAC_LENGTH]


def _short(nonce: bytes) -> bytes:
    """What AES-GCM takes of a nonce that counts (big-endian): twelve bytes."""
    if any(nonce[:-12]):
        raise ValueError("a nonce that counts further than twelve bytes")
    return nonce[-12:]


def _check_key(key: bytes) -> None:
    if len(key) != KEY_LENGTH:
        raise ValueError(f"a key has {KEY_LENGTH} bytes, not {len(key)}")


def _check(size: int, nonce: bytes, at: int, length: int) -> None:
    # libsodium trusts its caller with all of these.
    if len(nonce) != NONCE_LENGTH or at < 0 or length < 0 or at + MAC_LENGTH + length > size:
        raise ValueError("a box outside its buffer, or a nonce that has not 24 bytes")
