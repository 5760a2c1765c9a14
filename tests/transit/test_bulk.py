"""Records of a transfer: as transit.md has them, for any cut of the stream, and hostile ones."""

from itertools import chain, repeat

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from nacl.secret import SecretBox

from holdfast.crypto import derive
from holdfast.transit.bulk import MOST, ROOM, START, Bulk
from holdfast.transit.errors import RecordError, WireError
from tests.transit.memory_wire import MemoryWire

KEY, OTHER = bytes(range(32)), bytes(32)


def record(plain: bytes, number: int, key: bytes = KEY) -> bytes:
    """A record as the protocol's page has it, by PyNaCl's own box."""
    box = bytes(SecretBox(key).encrypt(plain, number.to_bytes(24, "big")))
    return len(box).to_bytes(4, "big") + box


def record_by_aes(plain: bytes, number: int) -> bytes:
    """The same by the other cipher, by the library's own call."""
    nonce = number.to_bytes(24, "big")
    key = derive(KEY, "holdfast records by aes-256-gcm", 32)
    box = nonce + AESGCM(key).encrypt(nonce[-12:], plain, None)
    return len(box).to_bytes(4, "big") + box


def receiver(stream: bytes, cuts=None, most: int = MOST) -> Bulk:
    return Bulk(MemoryWire(bytearray(stream), cuts or repeat(1 << 20)), OTHER, KEY, most)


def test_record() -> None:
    """A record is its length, its nonce and its box; nonces count from zero, big-endian."""
    wire = MemoryWire()
    bulk = Bulk(wire, KEY, OTHER)
    for plain in (b"hello", b"", b"again" * 1000):
        bulk.send(plain)
    bulk.room[:3] = b"abc"
    bulk.send_room(2)
    sent = [b"hello", b"", b"again" * 1000, b"ab"]
    stream = b"".join(record(plain, number) for number, plain in enumerate(sent))
    assert wire.sent == stream
    bulk.send_by_aes()
    bulk.send(b"faster")
    assert wire.sent == stream + record_by_aes(b"faster", 4)


@given(
    plains=st.lists(
        st.binary(max_size=50) | st.integers(0, 3 * START).map(bytes), min_size=1, max_size=6
    ),
    cuts=st.lists(st.integers(1, 3) | st.integers(1, 2 * START), max_size=30),
    changes=st.integers(0, 7),
)
def test_any_cut(plains: list[bytes], cuts: list[int], changes: int) -> None:
    """Records of any size arrive whole and in order, wherever the stream is cut.

    So they do if the cipher changes, although the next record has come by then.
    """
    stream = b"".join(
        record(plain, number) if number < changes else record_by_aes(plain, number)
        for number, plain in enumerate(plains)
    )
    bulk = receiver(stream, chain(cuts, repeat(100_000)))
    for number, plain in enumerate(plains):
        if number == changes:
            bulk.receive_by_aes()
        assert bytes(bulk.receive()) == plain
    with pytest.raises(WireError, match="closed the connection"):
        bulk.receive()


@pytest.mark.parametrize("by_aes", [False, True])
@given(lengths=st.lists(st.sampled_from([0, 1, 16_384, 16_368, ROOM]), max_size=8))
def test_there_and_back(lengths: list[int], by_aes: bool) -> None:
    """What one side sends, the other receives."""
    bulk = Bulk(MemoryWire(looped=True), KEY, KEY)
    if by_aes:
        bulk.send_by_aes()
        bulk.receive_by_aes()
    for number, length in enumerate(lengths):
        plain = bytes([number + 1]) * length
        bulk.send(plain)
        assert bulk.receive() == plain


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        pytest.param((2**32 - 1).to_bytes(4, "big"), "of 4294967295 bytes", id="too long"),
        pytest.param((MOST + 1).to_bytes(4, "big"), "of 67108865 bytes", id="one too long"),
        pytest.param((39).to_bytes(4, "big") + bytes(39), "of 39 bytes", id="too short"),
        pytest.param(bytes(4), "of 0 bytes", id="nothing"),
        pytest.param(record(b"x", 1), "out of order", id="left out"),
        pytest.param(record(b"x", 0, OTHER), "not sealed by", id="another key"),
        pytest.param(record(b"x" * 99, 0)[:-1] + b"x", "was changed", id="changed"),
    ],
)
def test_hostile(stream: bytes, words: str) -> None:
    """What is not the next record is refused in words, before or after good ones."""
    with pytest.raises(RecordError, match=words):
        receiver(stream).receive()


@pytest.mark.parametrize(
    "stream", [record(b"x", 0), record_by_aes(b"x", 1), record_by_aes(b"x" * 99, 0)[:-1] + b"x"]
)
def test_hostile_by_aes(stream: bytes) -> None:
    """By the other cipher, too; one cipher's record is none of the other's."""
    bulk = receiver(stream)
    bulk.receive_by_aes()
    with pytest.raises(RecordError, match=r"out of order|was changed"):
        bulk.receive()


@pytest.mark.parametrize("again", [0, 2])
def test_order(again: int) -> None:
    """A record that comes a second time, or too early, is refused."""
    bulk = receiver(record(b"a", 0) + record(b"b", again))
    assert bulk.receive() == b"a"
    with pytest.raises(RecordError, match="out of order"):
        bulk.receive()


@pytest.mark.parametrize("keep", [0, 3, 4, 20, 60])
def test_end_inside(keep: int) -> None:
    """A connection that ends before a record is whole has ended too early."""
    with pytest.raises(WireError, match="closed the connection"):
        receiver(record(b"x" * 50, 0)[:keep]).receive()


def test_memory_follows_what_came() -> None:
    """A record that only announces its length takes no memory; a long one, twice itself at most."""
    announced = MemoryWire(bytearray(MOST.to_bytes(4, "big") + bytes(100)))
    with pytest.raises(WireError):
        Bulk(announced, OTHER, KEY).receive()
    assert announced.largest <= START

    whole = MemoryWire(bytearray(record(bytes(1_000_000), 0)))
    assert len(Bulk(whole, OTHER, KEY).receive()) == 1_000_000
    assert whole.largest <= 1_000_000


def test_bound_of_ones_own() -> None:
    """A smaller bound than the protocol's is kept, too, and counts nonce and authenticator."""
    assert receiver(record(bytes(60), 0), most=100).receive() == bytes(60)
    with pytest.raises(RecordError, match="of 101 bytes"):
        receiver(record(bytes(61), 0), most=100).receive()


def test_too_long_to_send() -> None:
    """A record that does not fit into the buffer is refused to whoever wants to send it."""
    with pytest.raises(ValueError):
        Bulk(MemoryWire(), KEY, OTHER).send(bytes(ROOM + 1))


def test_keys_have_32_bytes() -> None:
    """The library would read behind a shorter key."""
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        Bulk(MemoryWire(), KEY[:31], OTHER)
