"""Boxes where they lie: the same as the libraries' own, and never outside their buffer."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from nacl.secret import SecretBox

from holdfast.crypto.in_place import MAC_LENGTH, AesPlace, Place

KEY, NONCE = bytes(range(32)), bytes(23) + b"\x07"


def box_of(kind: type[Place] | type[AesPlace], plain: bytes) -> bytes:
    """As the library makes it that is there for it."""
    if kind is AesPlace:
        return AESGCM(KEY).encrypt(NONCE[-12:], plain, None)
    return SecretBox(KEY).encrypt(plain, NONCE).ciphertext


@given(
    kind=st.sampled_from([Place, AesPlace]),
    plain=st.binary(max_size=300),
    at=st.integers(0, 20),
    rest=st.integers(0, 20),
)
def test_same_box(kind: type[Place] | type[AesPlace], plain: bytes, at: int, rest: int) -> None:
    """A box is the library's own, opens to what was sealed, and leaves its surroundings alone."""
    front = at + kind.before
    buffer = bytearray(b"#" * (at + len(plain) + MAC_LENGTH + rest))
    buffer[front : front + len(plain)] = plain
    place = kind(KEY, buffer)
    place.seal(NONCE, at, len(plain))
    box = box_of(kind, plain)
    assert buffer == b"#" * at + box + b"#" * rest
    assert place.open(NONCE, at, len(plain))
    assert buffer[front : front + len(plain)] == plain
    assert buffer[:at] == b"#" * at
    assert buffer.endswith(b"#" * rest)
    assert not kind(bytes(32), bytearray(box)).open(NONCE, 0, len(plain))


@pytest.mark.parametrize("kind", [Place, AesPlace])
@pytest.mark.parametrize(
    ("nonce", "at", "length"),
    [(NONCE[:23], 0, 10), (NONCE, -1, 10), (NONCE, 0, -1), (NONCE, 5, 10), (NONCE, 0, 2**63)],
)
def test_outside(kind: type[Place] | type[AesPlace], nonce: bytes, at: int, length: int) -> None:
    """What would lie outside the buffer is refused before the library sees it."""
    place = kind(KEY, bytearray(MAC_LENGTH + 10))
    for call in (place.seal, place.open):
        with pytest.raises(ValueError, match="outside its buffer"):
            call(nonce, at, length)


def test_a_nonce_too_large() -> None:
    """AES-GCM has shorter nonces: none of two that differ is taken for the other."""
    place = AesPlace(KEY, bytearray(MAC_LENGTH))
    for call in (place.seal, place.open):
        with pytest.raises(ValueError, match="counts further"):
            call(b"\1" + bytes(23), 0, 0)


@pytest.mark.parametrize("kind", [Place, AesPlace])
def test_keys_have_32_bytes(kind: type[Place] | type[AesPlace]) -> None:
    """One library would read behind a shorter key, and the other would take 16 bytes."""
    with pytest.raises(ValueError, match="32 bytes, not 16"):
        kind(KEY[:16], bytearray(MAC_LENGTH))
