"""Keys for single purposes, and the boxes that messages travel in (client-protocol.md, "Pake")."""

from hashlib import sha256
from typing import Final
from unicodedata import normalize

from nacl.bindings import crypto_secretbox, crypto_secretbox_open
from nacl.exceptions import CryptoError

from holdfast.crypto.hkdf import hkdf

KEY_LENGTH: Final = 32
"""Bytes of every key."""

NONCE_LENGTH: Final = 24
"""Bytes in front of a box, and of the randomness that `seal` needs."""

OVERHEAD: Final = NONCE_LENGTH + 16
"""Bytes by which a box is longer than its content: the nonce and the authenticator."""


class CannotUnseal(Exception):
    """A box that was not made with this key, or was changed on its way."""


def derive(key: bytes, purpose: bytes | str, length: int) -> bytes:
    """`length` bytes (1 to 8160) for `purpose` from `key`, unrelated to those for any other.

    A purpose that is text is NFC-normalized and encoded as UTF-8. Raises ValueError for
    another length.
    """
    if isinstance(purpose, str):
        purpose = _utf8(normalize("NFC", purpose))
    return hkdf(key, purpose, length)


def phase_key(key: bytes, side: str, phase: str) -> bytes:
    """The key (32 bytes) of the message that `side` sends under the name `phase`.

    The purpose is built from the two digests themselves, not from their hexadecimal form.
    """
    purpose = b"wormhole:phase:" + _digest(side) + _digest(phase)
    return hkdf(key, purpose, KEY_LENGTH)


def verifier(key: bytes) -> bytes:
    """The 32 bytes that both people may compare to rule out an attacker in between."""
    return hkdf(key, b"wormhole:verifier", KEY_LENGTH)


def seal(key: bytes, plaintext: bytes, nonce: bytes) -> bytes:
    """`plaintext` in a box (XSalsa20-Poly1305) behind its nonce.

    `key` has 32 bytes; `nonce` has 24 and is fresh randomness. Raises ValueError for
    other lengths.
    """
    _check_length("key", key, KEY_LENGTH)
    _check_length("nonce", nonce, NONCE_LENGTH)
    return nonce + crypto_secretbox(plaintext, nonce, key)


def unseal(key: bytes, box: bytes) -> bytes:
    """The plaintext that was sealed in `box` with `key` (32 bytes).

    Raises CannotUnseal when it was not, and ValueError for a key of another length.
    """
    _check_length("key", key, KEY_LENGTH)
    if len(box) < OVERHEAD:
        raise CannotUnseal("the message is too short to be a box")
    try:
        return crypto_secretbox_open(box[NONCE_LENGTH:], box[:NONCE_LENGTH], key)
    except CryptoError:
        raise CannotUnseal("the message was not sealed with this key") from None


def _digest(text: str) -> bytes:
    return sha256(_utf8(text)).digest()


def _utf8(text: str) -> bytes:
    # JSON can spell half a surrogate pair, which plain UTF-8 refuses: a server must not be
    # able to raise an exception here by inventing such a side or phase.
    return text.encode("utf-8", "surrogatepass")


def _check_length(what: str, value: bytes, length: int) -> None:
    if len(value) != length:
        raise ValueError(f"a {what} has {length} bytes, not {len(value)}")
