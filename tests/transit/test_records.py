"""Records in a stream of bytes, cut anywhere and broken everywhere."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from wormhole.transit import TransitReceiver, TransitSender

from holdfast.transit.errors import RecordError
from holdfast.transit.records import Opener, Sealer
from tests.transit.test_stock_pipe import SENDER, Stock

KEY = bytes(range(32))
PLAIN = [b"", b"x", bytes(1000), b"the end"]


def stream(plain: list[bytes]) -> bytes:
    sealer = Sealer(KEY)
    return b"".join(map(sealer.seal, plain))


@given(st.lists(st.binary(max_size=50), max_size=6), st.lists(st.integers(0, 500), max_size=8))
def test_cuts(plain: list[bytes], cuts: list[int]) -> None:
    """The same records come out, in whatever pieces the bytes come."""
    data, opener, found = stream(plain), Opener(KEY), []
    edges = sorted({0, *(cut % (len(data) + 1) for cut in cuts), len(data)})
    for start, end in pairwise(edges):
        found += opener.feed(data[start:end])
    assert found == plain


def test_the_stock_client() -> None:
    """It opens our records, and we open its."""
    receiver = Stock(TransitReceiver(None, no_listen=True, reactor=Clock()))
    sealer = Sealer(SENDER)
    for each in PLAIN:
        receiver.pipe.dataReceived(sealer.seal(each))
    assert [receiver.pipe.receive_record().result for _ in PLAIN] == PLAIN
    sender = Stock(TransitSender(None, no_listen=True, reactor=Clock()))
    for each in PLAIN:
        sender.pipe.send_record(each)
    assert list(Opener(SENDER).feed(bytes(sender.said()))) == PLAIN


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_changed_bit(at: int, bit: int) -> None:
    """What came before it is good; nothing after it is."""
    data = bytearray(stream(PLAIN))
    at %= len(data)
    data[at] ^= 1 << bit
    found, opener = [], Opener(KEY, 2000)
    try:
        for each in opener.feed(bytes(data)):
            found.append(each)
    except RecordError:
        pass
    else:
        with pytest.raises(RecordError):
            list(opener.feed(bytes(4000)))
    assert found == PLAIN[: len(found)]
    assert len(stream(found)) <= at


@pytest.mark.parametrize("order", [[1, 0], [0, 0], [0, 2], [3]])
def test_order(order: list[int]) -> None:
    """Records that are exchanged, repeated or left out are refused."""
    sealer = Sealer(KEY)
    records = [sealer.seal(each) for each in PLAIN]
    with pytest.raises(RecordError, match="out of order"):
        list(Opener(KEY).feed(b"".join(records[each] for each in order)))


@pytest.mark.parametrize("length", [0, 24, 39, 101, 2**32 - 1])
def test_lengths(length: int) -> None:
    """A length that cannot be right is refused before anything else has come."""
    with pytest.raises(RecordError, match=f"{length} bytes"):
        list(Opener(KEY, 100).feed(length.to_bytes(4, "big")))


def test_the_first_wrong_nonce() -> None:
    """A record that comes out of order is not waited for."""
    late = stream(PLAIN)[44:]
    with pytest.raises(RecordError, match="out of order"):
        list(Opener(KEY).feed(late[:28]))


def test_too_long_to_send() -> None:
    """Peers accept 64 MiB at most, and other clients have their own limits."""
    with pytest.raises(ValueError, match="67,108,824 bytes"):
        Sealer(KEY).seal(bytes(64 * 1024 * 1024 - 39))


def test_another_key() -> None:
    """Nothing opens."""
    with pytest.raises(RecordError, match="not sealed"):
        list(Opener(bytes(32)).feed(stream(PLAIN)))
