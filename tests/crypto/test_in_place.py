"""Boxes where they lie: the same as PyNaCl's, and never outside their buffer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.secret import SecretBox

from holdfast.crypto.in_place import MAC_LENGTH, Place

KEY, NONCE = bytes(range(32)), bytes(24)


@given(plain=st.binary(max_size=300), at=st.integers(0, 20), rest=st.integers(0, 20))
def test_same_box(plain: bytes, at: int, rest: int) -> None:
    """A box is the library's own, opens to what was sealed, and leaves its surroundings alone."""
    buffer = bytearray(b"#" * at + bytes(MAC_LENGTH) + plain + b"#" * rest)
    place = Place(KEY, buffer)
    place.seal(NONCE, at, len(plain))
    box = SecretBox(KEY).encrypt(plain, NONCE).ciphertext
    assert buffer == b"#" * at + box + b"#" * rest
    assert place.open(NONCE, at, len(plain))
    assert buffer[at + MAC_LENGTH :] == plain + b"#" * rest
    assert not Place(bytes(32), bytearray(box)).open(NONCE, 0, len(plain))


@pytest.mark.parametrize(
    ("nonce", "at", "length"),
    [(NONCE[:23], 0, 10), (NONCE, -1, 10), (NONCE, 0, -1), (NONCE, 5, 10), (NONCE, 0, 2**63)],
)
def test_outside(nonce: bytes, at: int, length: int) -> None:
    """What would lie outside the buffer is refused before the library sees it."""
    place = Place(KEY, bytearray(MAC_LENGTH + 10))
    for call in (place.seal, place.open):
        with pytest.raises(ValueError, match="outside its buffer"):
            call(nonce, at, length)
