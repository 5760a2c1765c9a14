"""Frames of every length, however they are cut, and what is no frame."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.dilation import frames
from holdfast.dilation.errors import NoiseError, ProtocolError
from holdfast.dilation.frames import MOST, MOST_PLAIN, ONE_MESSAGE, Frames, frame
from holdfast.dilation.noise import Cipher

KEY = bytes(range(32))


def stream(plaintexts: list[bytes]) -> bytes:
    cipher = Cipher(KEY)
    return b"".join(frame(cipher, each) for each in plaintexts)


@given(
    plaintexts=st.lists(st.binary(max_size=60), max_size=5),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_cuts(plaintexts: list[bytes], cuts: list[int]) -> None:
    """It makes no difference in which pieces the bytes come."""
    said = stream(plaintexts)
    edges = sorted({0, *(cut % (len(said) + 1) for cut in cuts), len(said)})
    reader = Frames(Cipher(KEY))
    heard = [each for a, b in pairwise(edges) for each in reader.feed(said[a:b])]
    assert heard == plaintexts


def test_every_cut_and_every_byte_alone() -> None:
    """Two frames, one of them empty, cut everywhere."""
    plaintexts = [b"first", b"", b"last"]
    said = stream(plaintexts)
    for cut in range(len(said) + 1):
        reader = Frames(Cipher(KEY))
        assert reader.feed(said[:cut]) + reader.feed(said[cut:]) == plaintexts
    reader = Frames(Cipher(KEY))
    assert [p for at in range(len(said)) for p in reader.feed(said[at : at + 1])] == plaintexts


@pytest.mark.parametrize(
    "length",
    [
        ONE_MESSAGE - 1,
        ONE_MESSAGE,
        ONE_MESSAGE + 1,
        2 * ONE_MESSAGE,
        2 * ONE_MESSAGE + 1,
        1_000_000,
    ],
)
def test_long_ones(length: int) -> None:
    """They are several messages, of which each but the last is full."""
    plaintext = bytes(length)
    said = stream([b"before", plaintext, b"behind"])
    messages = -(-length // ONE_MESSAGE)
    assert len(said) == length + 12 + 3 * 4 + (messages + 2) * 16
    for step in (len(said), 65_536, 1000):
        reader = Frames(Cipher(KEY))
        heard = [
            each for at in range(0, len(said), step) for each in reader.feed(said[at : at + step])
        ]
        assert heard == [b"before", plaintext, b"behind"]


def test_the_longest_that_we_write_is_the_longest_that_we_read() -> None:
    """Not one byte more, on either side."""
    messages = -(-MOST_PLAIN // ONE_MESSAGE)
    assert MOST_PLAIN + messages * 16 == MOST
    with pytest.raises(ValueError, match="at most"):
        frame(Cipher(KEY), bytes(MOST_PLAIN + 1))


@pytest.mark.parametrize("length", [0, 15, 49, MOST + 1, 2**32 - 1])
@pytest.mark.parametrize("cut", [0, 1, 3, 4])
def test_lengths_that_cannot_be(length: int, cut: int) -> None:
    """They are refused with the fourth byte, before anything is kept."""
    head = frames.LENGTH.pack(length)
    reader = Frames(Cipher(KEY), 48 if length == 49 else MOST)
    reader.feed(head[:cut]) if cut < 4 else None
    with pytest.raises(ProtocolError, match=f"a frame of {length} bytes"):
        reader.feed(head[cut:] if cut < 4 else head)


def test_a_stranger() -> None:
    """What another key made is refused, whole or in pieces, and so is a last message cut short."""
    said = frame(Cipher(bytes(32)), b"hello")
    with pytest.raises(NoiseError):
        Frames(Cipher(KEY)).feed(said)
    reader = Frames(Cipher(KEY))
    reader.feed(said[:9])
    with pytest.raises(NoiseError):
        reader.feed(said[9:])
    long = bytearray(frame(Cipher(KEY), bytes(ONE_MESSAGE)) + b"short")
    long[:4] = frames.LENGTH.pack(len(long) - 4)
    with pytest.raises(NoiseError):
        Frames(Cipher(KEY)).feed(bytes(long))


def test_another_split() -> None:
    """Messages that are not full are not taken for full ones."""
    cipher = Cipher(KEY)
    sealed = cipher.encrypt(bytes(60_000)) + cipher.encrypt(bytes(60_000))
    with pytest.raises(NoiseError):
        Frames(Cipher(KEY)).feed(frames.LENGTH.pack(len(sealed)) + sealed)
