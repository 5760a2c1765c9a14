"""Numbers that we choose ourselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.codes.numbers import ENTROPY, FEWEST_DIGITS, MOST_DIGITS, long_number


@given(st.integers(FEWEST_DIGITS, MOST_DIGITS), st.binary(min_size=ENTROPY, max_size=ENTROPY))
def test_just_so_many_digits(digits: int, entropy: bytes) -> None:
    """Whatever is drawn."""
    text = long_number(digits, entropy)
    assert len(text) == digits
    assert text.isdecimal()
    assert text[0] != "0"


@pytest.mark.parametrize(
    ("digits", "length"),
    [(FEWEST_DIGITS - 1, ENTROPY), (MOST_DIGITS + 1, ENTROPY), (7, ENTROPY - 1)],
)
def test_what_is_no_number_of_ours(digits: int, length: int) -> None:
    """Too short to be free, too long to be typed, or less random than it looks."""
    with pytest.raises(ValueError, match="6 to 12 digits"):
        long_number(digits, bytes(length))
