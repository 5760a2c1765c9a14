"""Completions while a code is typed, and the word list behind them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wormhole._wordlist import raw_words

from holdfast.codes import nameplate_completions, word_completions
from holdfast.codes.words import THREE_SYLLABLES, TWO_SYLLABLES


def test_word_list_is_the_published_one() -> None:
    """Both columns are the stock client's, in the same order, without capitals."""
    rows = [raw_words[f"{byte:02X}"] for byte in range(256)]
    assert tuple(row[0].lower() for row in rows) == TWO_SYLLABLES
    assert tuple(row[1].lower() for row in rows) == THREE_SYLLABLES


def test_examples_of_the_manual() -> None:
    """The examples that the API document gives."""
    assert word_completions("pr") == {"processor-", "provincial-", "proximate-"}
    assert word_completions("opulent-pr") == {
        "opulent-preclude",
        "opulent-prefer",
        "opulent-preshrunk",
        "opulent-printer",
        "opulent-prowler",
    }
    assert word_completions("su") == {"supportive-", "surrender-", "suspicious-"}
    assert nameplate_completions("1", ["1", "12", "13", "24", "170"]) == {
        "1-",
        "12-",
        "13-",
        "170-",
    }


def test_nothing_typed_yet() -> None:
    """Nothing typed means any word of the column whose turn it is."""
    assert word_completions("") == {f"{word}-" for word in THREE_SYLLABLES}
    assert word_completions("opulent-") == {f"opulent-{word}" for word in TWO_SYLLABLES}
    assert nameplate_completions("", ["3"]) == {"3-"}


def test_longer_codes() -> None:
    """The columns alternate, and the hyphen follows as long as words are missing."""
    assert word_completions("a-b-yuc", 3) == {"a-b-yucatan"}
    assert word_completions("a-zul", 3) == {"a-zulu-"}
    assert word_completions("yuc", 1) == {"yucatan"}


@given(st.text(max_size=12), st.integers(1, 5))
def test_completions_begin_with_what_was_typed(prefix: str, length: int) -> None:
    """Every completion begins with the prefix, whatever was typed."""
    assert all(word.startswith(prefix) for word in word_completions(prefix, length))
    assert all(match.startswith(prefix) for match in nameplate_completions(prefix, ["1", prefix]))


@pytest.mark.parametrize("prefix", ["PR", "opulent-zzz", "4-pr-x", "\N{SNOWMAN}"])
def test_no_completion(prefix: str) -> None:
    """What no word begins with has no completion."""
    assert word_completions(prefix) == set()


def test_nameplates_of_a_strange_server() -> None:
    """What is no nameplate is never offered to the person who types."""
    assert nameplate_completions("", ["4", "\x1b[31m", "x", "", "9" * 41]) == {"4-"}
