"""Completions of a nameplate, or of the words, for a person who is typing a code."""

from collections.abc import Iterable

from holdfast.codes.code import is_nameplate
from holdfast.codes.words import THREE_SYLLABLES, TWO_SYLLABLES


def nameplate_completions(prefix: str, nameplates: Iterable[str]) -> set[str]:
    """Those of the server's `nameplates` that begin with `prefix`, each with its hyphen.

    What cannot be a nameplate is left out, since a server may send anything.
    """
    return {
        f"{nameplate}-"
        for nameplate in nameplates
        if is_nameplate(nameplate) and nameplate.startswith(prefix)
    }


def word_completions(prefix: str, length: int = 2) -> set[str]:
    """What `prefix`, the words typed so far without the nameplate, may become.

    Completes the last word only. Every result begins with `prefix`, and ends with a hyphen
    where another word must follow to make `length` words.
    """
    before, hyphen, partial = prefix.rpartition("-")
    place = prefix.count("-")
    column = TWO_SYLLABLES if place % 2 else THREE_SYLLABLES
    more = "-" if place + 1 < length else ""
    return {f"{before}{hyphen}{word}{more}" for word in column if word.startswith(partial)}
