"""Wormhole codes: the word list, the form of a code, and completions while one is typed."""

from holdfast.codes.code import (
    is_nameplate,
    make,
    split,
    validate,
    validate_nameplate,
    validate_words,
)
from holdfast.codes.completion import nameplate_completions, word_completions
from holdfast.errors import KeyFormatError

__all__ = [
    "KeyFormatError",
    "is_nameplate",
    "make",
    "nameplate_completions",
    "split",
    "validate",
    "validate_nameplate",
    "validate_words",
    "word_completions",
]
