"""HKDF with SHA-256 and no salt, the only key derivation of the protocol (RFC 5869)."""

import hmac
from typing import Final

LONGEST: Final = 255 * 32
"""RFC 5869, section 2.3: at most 255 blocks of the hash's length, in bytes."""


def hkdf(secret: bytes, info: bytes, length: int) -> bytes:
    """Derive *length* bytes (1 to 8160) from *secret* for the purpose *info*.

    Raises ValueError when *length* is out of range.
    """
    if not 1 <= length <= LONGEST:
        raise ValueError(f"a derived key has 1 to {LONGEST} bytes, not {length}")
    # Section 2.2: without a salt the extraction key is one hash length of zeros.
    extracted = hmac.digest(bytes(32), secret, "sha256")
    derived, block = b"", b""
    for number in range(1, -(-length // 32) + 1):
        block = hmac.digest(extracted, block + info + bytes([number]), "sha256")
        derived += block
    return derived[:length]
