"""Numbers for codes that we choose ourselves: long and random, so that hardly anybody has them."""

from __future__ import annotations

from typing import Final

FEWEST_DIGITS: Final = 6
MOST_DIGITS: Final = 12

ENTROPY: Final = 16
"""Random bytes for one number: so many that no number is noticeably more likely than another."""


def long_number(digits: int, entropy: bytes) -> str:
    """Return the number of so many digits, none of them a leading zero, that `entropy` chooses.

    Raises:
        ValueError: these are not `ENTROPY` bytes, or `digits` is not from 6 to 12.
    """
    if len(entropy) != ENTROPY or not FEWEST_DIGITS <= digits <= MOST_DIGITS:
        raise ValueError(f"a number of ours has {FEWEST_DIGITS} to {MOST_DIGITS} digits")
    first: int = 10 ** (digits - 1)
    return str(first + int.from_bytes(entropy) % (9 * first))
