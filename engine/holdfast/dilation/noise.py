"""The cipher of a connection: `Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s`; pure.

Written after noise.md (The Noise Protocol Framework, revision 34): section 5, "Processing rules",
for the handshake, section 9, "Pre-shared symmetric keys", section 12 for the functions. This one
pattern, without prologue and payloads, is all that Dilation uses:

    psk, e        the initiator's message
    e, ee         the answer

The reason for this code: the maintained packages for Python do not have it, and OpenSSL has all of
the cryptography, which is where the time goes.
"""

from __future__ import annotations

import hmac
from hashlib import blake2s
from struct import Struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from holdfast.dilation.errors import NoiseError

NAME: Final = b"Noise_NNpsk0_25519_ChaChaPoly_BLAKE2s"

KEY_LENGTH: Final = 32
"""Bytes of every key: the shared one, the ephemeral ones, those of the ciphers."""

TAG_LENGTH: Final = 16
"""Bytes that encryption adds."""

MESSAGE_LENGTH: Final = KEY_LENGTH + TAG_LENGTH
"""Bytes of each of the two messages of the handshake."""

LONGEST: Final = 65_535
"""Bytes of the longest encrypted message (section 3, "Message format")."""

MOST_MESSAGES: Final = 2**64 - 1
"""Messages under one key: the last number is reserved (section 5.1)."""

_nonce: Final = Struct("<4xQ").pack
"""Section 12.3: 32 zero bits, then the number in little-endian order."""


class Cipher:
    """Encrypts or decrypts the messages of one direction, in their order.

    Args:
        key: 32 bytes.
        count: how many messages there were.
    """

    __slots__ = ("_aead", "_count")

    def __init__(self, key: bytes, count: int = 0) -> None:
        self._aead = ChaCha20Poly1305(key)
        self._count = count

    @property
    def count(self) -> int:
        """How many messages there were."""
        return self._count

    def encrypt(self, plaintext: bytes | memoryview) -> bytes:
        """The next message: `plaintext`, at most 65,519 bytes, encrypted.

        Raises:
            NoiseError: there were too many messages.
        """
        return self._aead.encrypt(self._next(), plaintext, None)

    def decrypt(self, sealed: bytes | bytearray | memoryview) -> bytes:
        """What the other side encrypted as its next message.

        Raises:
            NoiseError: `sealed` is something else, or there were too many messages. No more can
                be decrypted.
        """
        try:
            return self._aead.decrypt(self._next(), sealed, None)
        except InvalidTag:
            raise NoiseError("a message under another key, or out of order") from None

    def _next(self) -> bytes:
        count = self._count
        if count >= MOST_MESSAGES:
            raise NoiseError("too many messages under one key")
        self._count = count + 1
        return _nonce(count)


class Noise:
    """One handshake: two messages, after which each side knows that the other has the shared key.

    The initiator calls `write`, then `read`; the other side `read`, then `write`.

    Args:
        psk: 32 bytes that both sides know, and nobody else.
        initiator: whether we speak first.
        ephemeral: 32 random bytes, for this handshake alone.

    Raises:
        ValueError: one of them has another length.
    """

    def __init__(self, psk: bytes, *, initiator: bool, ephemeral: bytes) -> None:
        if len(psk) != KEY_LENGTH or len(ephemeral) != KEY_LENGTH:
            raise ValueError(f"a shared key and a private one have {KEY_LENGTH} bytes each")
        self._initiator = initiator
        self._ephemeral = X25519PrivateKey.from_private_bytes(ephemeral)
        self._theirs: X25519PublicKey | None = None
        self._state = _Symmetric(NAME)
        self._state.mix_hash(b"")  # the prologue
        self._state.mix_key_and_hash(psk)
        self._ciphers: tuple[Cipher, Cipher] | None = None

    def write(self) -> bytes:
        """Our message, 48 bytes."""
        ours = self._ephemeral.public_key().public_bytes_raw()
        self._state.mix_hash(ours)
        self._state.mix_key(ours)
        if not self._initiator:
            self._agree()
        message = ours + self._state.seal()
        if not self._initiator:
            self._split()
        return message

    def read(self, message: bytes) -> None:
        """Take the other side's message.

        Raises:
            NoiseError: it was made with another shared key, or is something else.
        """
        if len(message) != MESSAGE_LENGTH:
            raise NoiseError(f"a handshake of {len(message)} bytes")
        theirs = message[:KEY_LENGTH]
        self._theirs = X25519PublicKey.from_public_bytes(theirs)
        self._state.mix_hash(theirs)
        self._state.mix_key(theirs)
        if self._initiator:
            self._agree()
        self._state.open(message[KEY_LENGTH:])
        if self._initiator:
            self._split()

    def ciphers(self) -> tuple[Cipher, Cipher]:
        """What encrypts our messages and what decrypts theirs, after both messages.

        Raises:
            RuntimeError: they have not been exchanged.
        """
        if self._ciphers is None:
            raise RuntimeError("the handshake is not complete")
        return self._ciphers

    def _agree(self) -> None:
        """The token `ee`."""
        if self._theirs is None:
            raise RuntimeError("the initiator speaks first")
        try:
            shared = self._ephemeral.exchange(self._theirs)
        except ValueError:  # their key is one of the few with which anybody gets the same secret
            raise NoiseError("a handshake with a bad key") from None
        self._state.mix_key(shared)

    def _split(self) -> None:
        first, second = map(Cipher, self._state.split())
        self._ciphers = (first, second) if self._initiator else (second, first)


class _Symmetric:
    """What both sides have mixed so far (section 5.2).

    Each of its keys encrypts one message, so that the number of that message is always 0.
    """

    def __init__(self, name: bytes) -> None:
        self._hash = blake2s(name).digest()
        self._chaining = self._hash
        self._key = b""

    def mix_hash(self, data: bytes) -> None:
        self._hash = blake2s(self._hash + data).digest()

    def mix_key(self, material: bytes) -> None:
        self._chaining, self._key = _hkdf(self._chaining, material, 2)

    def mix_key_and_hash(self, material: bytes) -> None:
        self._chaining, mixed, self._key = _hkdf(self._chaining, material, 3)
        self.mix_hash(mixed)

    def seal(self) -> bytes:
        """An empty payload, encrypted."""
        sealed = ChaCha20Poly1305(self._key).encrypt(_nonce(0), b"", self._hash)
        self.mix_hash(sealed)
        return sealed

    def open(self, sealed: bytes) -> None:
        """See that `sealed` is what `seal` made on the other side."""
        try:
            ChaCha20Poly1305(self._key).decrypt(_nonce(0), sealed, self._hash)
        except InvalidTag:
            raise NoiseError("a handshake under another key") from None
        self.mix_hash(sealed)

    def split(self) -> list[bytes]:
        """The initiator's key, and that of the other side."""
        return _hkdf(self._chaining, b"", 2)


def _hkdf(chaining: bytes, material: bytes, outputs: int) -> list[bytes]:
    """Section 4.3."""
    secret = hmac.digest(chaining, material, blake2s)
    found: list[bytes] = []
    for number in range(1, outputs + 1):
        previous = found[-1] if found else b""
        found.append(hmac.digest(secret, previous + bytes([number]), blake2s))
    return found
