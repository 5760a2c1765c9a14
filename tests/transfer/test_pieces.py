"""How much of what is received is written at once."""

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from holdfast.transfer.pieces import LONG, SHORT, SHORT_FOR, SLOW, TRIED, PieceSize, pieces

SOME = 1000


@given(
    lengths=st.lists(st.integers(0, 3) | st.integers(0, 3 * SOME), max_size=5),
    offset=st.integers(0, 2 * SOME),
)
def test_pieces(lengths: list[int], offset: int) -> None:
    """What is written at once ends at multiples of the size of a piece, and nothing is lost."""
    contents = [bytes([number]) * length for number, length in enumerate(lengths)]
    made = list(pieces(map(memoryview, contents), offset, SOME))
    assert b"".join(b"".join(piece) for piece in made) == b"".join(contents)
    ends = list(accumulate((sum(map(len, piece)) for piece in made), initial=offset))
    assert all(end % SOME == 0 for end in ends[1:-1])
    assert all(end - start <= SOME for start, end in pairwise(ends))


def written(size: PieceSize, total: int, pace: float) -> None:
    """Write `total` bytes, each of which takes `pace` seconds."""
    while total > 0:
        length = min(size.bytes, total)
        size.wrote(length, length * pace)
        total -= length


def test_where_memory_is_in_small_pieces() -> None:
    """Long pieces that are slow become short ones, and are tried again later."""
    size = PieceSize()
    assert size.bytes == LONG
    written(size, TRIED - 1, 2 * SLOW)
    assert size.bytes == LONG
    written(size, 1, 2 * SLOW)
    assert size.bytes == SHORT
    written(size, SHORT_FOR - 1, SLOW / 4)
    assert size.bytes == SHORT
    written(size, 1, SLOW / 4)
    assert size.bytes == LONG
    written(size, TRIED, 2 * SLOW)
    assert size.bytes == SHORT


def test_all_but_one_had_to_wait() -> None:
    """A disk or a processor that lets most wait says nothing about memory."""
    size = PieceSize()
    for _ in range(20):
        written(size, LONG, SLOW / 4)
        written(size, TRIED - LONG, 100 * SLOW)
        assert size.bytes == LONG


def test_short_pieces_are_not_to_blame() -> None:
    """Where short ones are slow, too, long ones get their next chance as soon."""
    size = PieceSize()
    written(size, TRIED + SHORT_FOR, 2 * SLOW)
    assert size.bytes == LONG
