"""Text from elsewhere, made fit for one line of a terminal.

Names come from files, and status texts from peers. A terminal obeys some characters instead of
showing them, so everything goes through `printable` before it is printed.
"""

import unicodedata

# Characters that re-order what a reader sees, or that cannot be seen at all.
_DECEPTIVE = frozenset(
    "\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)
_UNSHOWN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


def is_hidden(character: str) -> bool:
    """Whether a terminal would obey a character, or not show it.

    Joiners (U+200C, U+200D) are not hidden: Persian names and emoji need them.
    """
    return unicodedata.category(character) in _UNSHOWN_CATEGORIES or character in _DECEPTIVE


def printable(text: str, limit: int = 500) -> str:
    r"""Return `text` as one harmless line of at most `limit` characters.

    Hidden characters become escapes such as `\x1b`; a text that is too long ends in an ellipsis.
    """
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(each) if is_hidden(each) else each for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def quoted(text: str, limit: int = 60) -> str:
    """Return `text` for use inside a sentence: printable, short, in single quotes."""
    return f"'{printable(text, limit)}'"
