"""Keys for single purposes and the boxes under them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.secret import SecretBox

from holdfast.crypto import CannotUnseal, derive, phase_key, seal, unseal, verifier
from holdfast.crypto.hkdf import hkdf

VECTORS: dict[str, Any] = json.loads("""
{
 "key": "3dadc079b6b84abdde3703244e7a6f3950742376b00d6193a744028cd30e798c",
 "verifier": "32975e516d94c4505e22ac394e1b9fe4b041d5712f58ae1c12a17ced16326779",
 "phase_key_A_version": "532be2f3dce57fc398bc354dc48677e5aa4a04a4fc6aba9b638340db06693fa3",
 "phase_key_B_0": "059aff8b4c8a84bbe23e14096dc8f9153f680f0e3a452907cfc8396e64419307",
 "phase_key_A_dilate0": "b7dd70f1e64d77b7a12d072f4ae6229153c06eb2c87bf7dddace0219c9768ef9",
 "nonce": "000102030405060708090a0b0c0d0e0f1011121314151617",
 "plain": "{\\"app_versions\\": {}}",
 "body": "000102030405060708090a0b0c0d0e0f10111213141516172208037582c789f9bf526f8da69f68a7020c918e4bd75ad9946d0fb5a2bd36931a3aa801",
 "transit_key": "2652f60da8859fa9577f7444b17bc5ba45417d796232576bc3729b3351a1202d",
 "transit_sender": "db51d5b7ff65647f8200abef095825890c7c61aafb071329606ac9c7fe871281",
 "dilation_key": "a637e407f347f2ba4a52dde92fc0e59fadfd7eae3a1b6cd691cc57d26a304202"
}
""")  # noqa: E501
KEY = bytes.fromhex(VECTORS["key"])
NONCE = bytes.fromhex(VECTORS["nonce"])


def test_published_verifier() -> None:
    """The verifier of the vector's key is the vector's."""
    assert verifier(KEY).hex() == VECTORS["verifier"]


@pytest.mark.parametrize(
    ("side", "phase", "name"),
    [
        ("0a1b2c3d4e", "version", "phase_key_A_version"),
        ("f0e1d2c3b4", "0", "phase_key_B_0"),
        ("0a1b2c3d4e", "dilate-0", "phase_key_A_dilate0"),
    ],
)
def test_published_phase_keys(side: str, phase: str, name: str) -> None:
    """The keys of the vector's messages are the vector's."""
    assert phase_key(KEY, side, phase).hex() == VECTORS[name]


def test_published_purposes() -> None:
    """Derived keys are the vector's, and a key can be derived from a derived key."""
    assert derive(KEY, "example.com/app1/thing", 16).hex() == "5c415e5909de5e99eb7d1c3b97636e0f"
    transit = derive(KEY, "lothar.com/wormhole/text-or-file-xfer/transit-key", 32)
    assert transit.hex() == VECTORS["transit_key"]
    assert derive(transit, b"transit_sender", 32).hex() == VECTORS["transit_sender"]
    assert derive(KEY, "dilation-v1", 32).hex() == VECTORS["dilation_key"]


def test_published_box() -> None:
    """Sealing the vector's text gives the vector's box, which opens again."""
    key = phase_key(KEY, "0a1b2c3d4e", "version")
    box = seal(key, VECTORS["plain"].encode(), NONCE)
    assert box.hex() == VECTORS["body"]
    assert unseal(key, box) == VECTORS["plain"].encode()


def test_published_hkdf() -> None:
    """The RFC's own vector without a salt (RFC 5869, test case 3)."""
    derived = hkdf(b"\x0b" * 22, b"", 42)
    assert derived.hex() == (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )


def test_text_purposes_are_normalized() -> None:
    """A purpose in NFD is the same purpose; as bytes it is taken as it is."""
    assert derive(KEY, "e\N{COMBINING ACUTE ACCENT}", 32) == derive(KEY, "\xe9".encode(), 32)
    assert derive(KEY, "e\u0301".encode(), 32) != derive(KEY, "\xe9", 32)


@pytest.mark.parametrize("length", [1, 31, 32, 33, 64, 8160])
def test_every_length_is_a_prefix_of_the_longest(length: int) -> None:
    """A derived key has the length that was asked for; shorter ones are its beginning."""
    derived = derive(KEY, "thing", length)
    assert len(derived) == length
    assert derive(KEY, "thing", 8160).startswith(derived)


@pytest.mark.parametrize("length", [-1, 0, 8161])
def test_impossible_lengths(length: int) -> None:
    """No key is shorter than a byte or longer than HKDF can make."""
    with pytest.raises(ValueError, match="8160"):
        derive(KEY, "thing", length)


@given(side=st.text(max_size=9), phase=st.text(max_size=9))
def test_any_side_and_phase_has_a_key(side: str, phase: str) -> None:
    """Whatever text JSON can spell as side and phase, there is a key and no exception."""
    assert len(phase_key(KEY, side + "\ud800", phase)) == 32


def test_phase_keys_differ() -> None:
    """Side, phase and key all decide, and text does not slip from one to the other."""
    keys = {
        phase_key(KEY, "ab", "c"),
        phase_key(KEY, "a", "bc"),
        phase_key(KEY, "c", "ab"),
        phase_key(bytes(32), "ab", "c"),
    }
    assert len(keys) == 4


@given(plaintext=st.binary(max_size=200), key=st.binary(min_size=32, max_size=32))
def test_round_trip(plaintext: bytes, key: bytes) -> None:
    """What was sealed comes out again, and PyNaCl's own box opens it, too."""
    box = seal(key, plaintext, NONCE)
    assert unseal(key, box) == plaintext == SecretBox(key).decrypt(box)
    assert len(box) == len(plaintext) + 40


@given(st.integers(0, 59), st.integers(1, 255))
def test_a_changed_box_does_not_open(place: int, change: int) -> None:
    """Any changed byte is noticed."""
    box = bytearray(seal(KEY, bytes(20), NONCE))
    box[place] ^= change
    with pytest.raises(CannotUnseal):
        unseal(KEY, bytes(box))


@given(st.binary(max_size=100))
def test_garbage_does_not_open(box: bytes) -> None:
    """Any bytes that were not sealed end in CannotUnseal."""
    with pytest.raises(CannotUnseal):
        unseal(KEY, box)


def test_lengths_of_key_and_nonce() -> None:
    """A key or nonce of another length is our own mistake, and said so."""
    with pytest.raises(ValueError, match="key"):
        seal(KEY[:31], b"", NONCE)
    with pytest.raises(ValueError, match="nonce"):
        seal(KEY, b"", NONCE[:23])
    with pytest.raises(ValueError, match="key"):
        unseal(KEY + b"\0", bytes(60))
