"""The form of a wormhole code: a nameplate, a hyphen, and words or anything without spaces.

Codes are secrets, so no error message repeats one.
"""

import re
from typing import Final
from unicodedata import category, normalize

from holdfast.codes.words import THREE_SYLLABLES, TWO_SYLLABLES
from holdfast.errors import KeyFormatError

LONGEST: Final = 1000
"""Characters of the longest code that is accepted."""

ZERO_MODE: Final = "0-"
"""The one code without words: both sides agreed to meet without a secret."""

# The server cuts the connection of a client that sends it any other kind of nameplate.
_NAMEPLATE: Final = re.compile("[0-9]{1,40}")


def make(nameplate: str, entropy: bytes, length: int = 2) -> str:
    """The code of `length` words on `nameplate`, one random byte of `entropy` for each word.

    Raises KeyFormatError for a malformed nameplate, and ValueError when there is not
    exactly one byte for each word or the code would be too long.
    """
    if length < 1 or len(entropy) != length:
        raise ValueError("a code has at least one word, and takes one random byte for each")
    chosen = [
        (TWO_SYLLABLES if place % 2 else THREE_SYLLABLES)[byte]
        for place, byte in enumerate(entropy)
    ]
    code = "-".join([validate_nameplate(nameplate), *chosen])
    if len(code) > LONGEST:
        raise ValueError(f"a code of {length} words is longer than {LONGEST} characters")
    return code


def split(code: str) -> tuple[str, str]:
    """The nameplate and the words of `code`, NFC-normalized.

    The words are empty for the zero-mode code `0-` alone. Raises KeyFormatError.
    """
    code = _clean(code, "the code")
    nameplate, hyphen, words = code.partition("-")
    if not hyphen:
        raise KeyFormatError(
            "The code has no hyphen: it begins with a number and a hyphen, as in 4-purple-sausages."
        )
    validate_nameplate(nameplate)
    if not words and code != ZERO_MODE:
        raise KeyFormatError("The code has no words: type what follows the number, too.")
    return nameplate, words


def validate(code: str) -> str:
    """`code`, NFC-normalized, if it is one. Raises KeyFormatError otherwise."""
    return "-".join(split(code))


def is_nameplate(text: str) -> bool:
    """Whether `text` is a nameplate: 1 to 40 ASCII digits."""
    return _NAMEPLATE.fullmatch(text) is not None


def validate_nameplate(nameplate: str) -> str:
    """`nameplate` if it is one: 1 to 40 ASCII digits. Raises KeyFormatError otherwise."""
    if is_nameplate(nameplate):
        return nameplate
    if nameplate[:1].isspace():
        raise KeyFormatError("The code begins with a space: type it without.")
    raise KeyFormatError(
        "The code must begin with its number (1 to 40 digits), as in 4-purple-sausages."
    )


def validate_words(words: str) -> str:
    """`words`, NFC-normalized, if they can follow a nameplate.

    Raises KeyFormatError when they are empty or hold a space.
    """
    words = _clean(words, "the words")
    if not words:
        raise KeyFormatError("The code has no words: type what follows the number, too.")
    return words


def _clean(text: str, what: str) -> str:
    # Asked before the text is normalized, so that an enormous one costs nothing.
    if len(text) <= LONGEST:
        text = normalize("NFC", text)
    if len(text) > LONGEST:
        raise KeyFormatError(f"A code has at most {LONGEST} characters.")
    if text[:1].isspace():
        raise KeyFormatError(f"There is a space in front of {what}: type it without.")
    if any(character.isspace() for character in text):
        raise KeyFormatError(f"There is a space in {what}: type hyphens instead.")
    # Cc: control characters; Cs: half of a surrogate pair, which no encoding carries.
    if any(category(character) in ("Cc", "Cs") for character in text):
        raise KeyFormatError(f"There is an unprintable character in {what}: type it by hand.")
    return text
