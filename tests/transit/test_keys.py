"""The keys and lines that follow from a transit key."""

import pytest

from holdfast.transit.keys import TransitKeys

KEY = bytes.fromhex("2652f60da8859fa9577f7444b17bc5ba45417d796232576bc3729b3351a1202d")
KEYS = TransitKeys(KEY)


def test_the_published_examples() -> None:
    """All clients derive these, and say them so."""
    token = "1bfe52128d660e9eb9a987f06429bd121e7cf0fc340195fdd36f1d098dc18fde"
    sender = "db51d5b7ff65647f8200abef095825890c7c61aafb071329606ac9c7fe871281"
    receiver = "2072c1b953cce037c7445eaa80396f9394c17f5842d673161ab0ac8a812e4b02"
    assert KEYS.relay_token == token
    assert KEYS.sender_line == f"transit sender {sender} ready\n\n".encode()
    assert KEYS.receiver_line == f"transit receiver {receiver} ready\n\n".encode()
    side = "0123456789abcdef"
    assert KEYS.relay_line(side) == f"please relay {token} for side {side}\n".encode()
    assert KEYS.record_key("sender").hex() == (
        "175803cf0ccbf9e38db756b3d8d5f948693998d5dd010ca3493515325429b6f3"
    )
    assert KEYS.record_key("receiver").hex() == (
        "d4dfd35df1b8cdb6936daac9379c5a6a227838e6f921042973a13b6f59c3aae0"
    )


def test_fresh_keys() -> None:
    """Each pair of salts makes other record keys, in this order of the two and no other."""
    one, other = bytes(32), bytes(31) + b"\1"
    pairs = [(one, one), (one, other), (other, one), (other, other)]
    made = [KEYS.fresh(*pair).record_key(role) for pair in pairs for role in ("sender", "receiver")]
    assert len({*made, KEYS.record_key("sender"), KEYS.record_key("receiver")}) == 10
    assert KEYS.fresh(one, other) == KEYS.fresh(one, other)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_lengths(length: int) -> None:
    """Keys and salts of other lengths are refused."""
    with pytest.raises(ValueError, match="32 bytes"):
        TransitKeys(bytes(length))
    with pytest.raises(ValueError, match="32 bytes"):
        KEYS.fresh(bytes(32), bytes(length))


def test_no_key_is_shown() -> None:
    """Not in the text of the object."""
    assert repr(KEYS) == "TransitKeys()"
