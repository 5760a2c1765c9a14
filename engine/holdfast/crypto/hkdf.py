"""HKDF with SHA-256 and no salt, the only key derivation of the protocol (RFC 5869)."""

from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LONGEST: Final = 255 * 32
"""RFC 5869, section 2.3: at most 255 blocks of the hash's length, in bytes."""

_SHA256: Final = SHA256()


def hkdf(secret: bytes, info: bytes, length: int) -> bytes:
    """Derive `length` bytes (1 to 8160) from `secret` for the purpose `info`.

    Raises ValueError when `length` is out of range.
    """
    if not 1 <= length <= LONGEST:
        raise ValueError(f"a derived key has 1 to {LONGEST} bytes, not {length}")
    return HKDF(_SHA256, length, salt=None, info=info).derive(secret)
