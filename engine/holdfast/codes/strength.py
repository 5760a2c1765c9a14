"""How many words a code needs, given how often somebody may guess it."""

from __future__ import annotations

from typing import Final

USUAL_WORDS: Final = 2
"""Words of an ordinary code, of which one guess is allowed."""

_WORDS_OF_A_PLACE: Final = 256


def chance(guesses: int, words: int) -> float:
    """Return the probability that one of so many guesses is a code of so many random words."""
    codes: int = _WORDS_OF_A_PLACE**words
    return min(1.0, guesses / codes)


def fewest_words(guesses: int) -> int:
    """Return with how many words all guesses together are no better than one at two words."""
    words = USUAL_WORDS
    while chance(guesses, words) > chance(1, USUAL_WORDS):
        words += 1
    return words
