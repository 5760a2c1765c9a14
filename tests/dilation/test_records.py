"""Every record, as stock writes and reads it, and what is no record."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wormhole._dilation import connection as stock

from holdfast.dilation.errors import ProtocolError
from holdfast.dilation.records import (
    LONGEST_NAME,
    Ack,
    Close,
    Data,
    Kcm,
    Open,
    Ping,
    Pong,
    Record,
    read,
    write,
)

numbers = st.integers(0, 2**32 - 1)
ids = st.binary(min_size=4, max_size=4)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
any_record = st.one_of(
    st.just(Kcm()),
    st.builds(Ping, ids),
    st.builds(Pong, ids),
    st.builds(Open, numbers, numbers, names),
    st.builds(Data, numbers, numbers, st.binary(max_size=50)),
    st.builds(Close, numbers, numbers),
    st.builds(Ack, numbers),
)


def as_stock(record: Record) -> Any:
    """The same, in stock's words."""
    match record:
        case Ping(id_):
            return stock.Ping(id_)
        case Pong(id_):
            return stock.Pong(id_)
        case Open(scid, seq, name):
            return stock.Open(seq, scid, name)
        case Data(scid, seq, data):
            return stock.Data(seq, scid, data)
        case Close(scid, seq):
            return stock.Close(seq, scid)
        case Ack(seq):
            return stock.Ack(seq)
    return stock.KCM()


@given(any_record)
def test_stock_reads_what_we_write(record: Record) -> None:
    """And we read what it writes."""
    plaintext = write(record)
    assert stock.parse_record(plaintext) == as_stock(record)
    assert stock.encode_record(as_stock(record)) == plaintext
    assert read(plaintext) == record


TABLE: list[tuple[Record, str]] = [
    (Kcm(), "00"),
    (Ping(b"ping"), "01 70696e67"),
    (Pong(b"ping"), "02 70696e67"),
    (Open(1, 2, "é"), "03 00000001 00000002 c3a9"),
    (Open(1, 2, ""), "03 00000001 00000002"),
    (Data(3, 4, b"data"), "04 00000003 00000004 64617461"),
    (Data(3, 4, b""), "04 00000003 00000004"),
    (Close(5, 2**32 - 1), "05 00000005 ffffffff"),
    (Ack(7), "06 00000007"),
]


@pytest.mark.parametrize(("record", "plaintext"), TABLE)
def test_on_the_wire(record: Record, plaintext: str) -> None:
    """Each type has one byte, each number four."""
    assert write(record).hex() == plaintext.replace(" ", "")


@pytest.mark.parametrize(("record", "plaintext"), TABLE)
def test_cut_short(record: Record, plaintext: str) -> None:
    """Without a byte of its numbers, none is a record."""
    whole = bytes.fromhex(plaintext)
    shortest = {Ping: 5, Pong: 5, Ack: 5, Kcm: 1}.get(type(record), 9)
    for length in range(shortest):
        with pytest.raises(ProtocolError):
            read(whole[:length])


@pytest.mark.parametrize("record", [Kcm(), Ping(b"ping"), Pong(b"pong"), Close(1, 2), Ack(3)])
def test_what_follows_is_ignored(record: Record) -> None:
    """As stock does."""
    assert read(write(record) + b"more") == record
    assert stock.parse_record(write(record) + b"more") == as_stock(record)


@pytest.mark.parametrize(
    ("plaintext", "words"),
    [
        (b"", "an empty record"),
        (b"\x07", "a record of type 7"),
        (b"\xff" * 20, "a record of type 255"),
        (b"\x03" + bytes(8) + b"\xff", "not UTF-8"),
        (b"\x03" + bytes(8) + b"\xed\xa0\x80", "not UTF-8"),
        (b"\x03" + bytes(8) + b"x" * (LONGEST_NAME + 1), "name of 257 bytes"),
    ],
)
def test_no_record(plaintext: bytes, words: str) -> None:
    """A few words say what it is."""
    with pytest.raises(ProtocolError, match=words):
        read(plaintext)


def test_no_content_is_shown() -> None:
    """A log may have a record's text."""
    assert repr(Data(1, 2, b"hunter2")) == "Data(scid=1, seq=2)"
