"""The form of a code: what is one, what is none, and what is said about it."""

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.codes import (
    is_nameplate,
    make,
    split,
    validate,
    validate_nameplate,
    validate_words,
)
from holdfast.codes.code import LONGEST
from holdfast.errors import KeyFormatError, WormholeError

CODES = [
    "4-purple-sausages",
    "0-",
    "913-166532",
    "123-HTTHHHTTHTTHHTHH",
    "1-x",
    "1--",
    "007-bond",
    "9" * 40 + "-long",
    "4-" + "x" * (LONGEST - 2),
    "4-\N{SNOWMAN}\N{PILE OF POO}",
]


@pytest.mark.parametrize("code", CODES)
def test_codes(code: str) -> None:
    """What people and other clients use as a code is one, unchanged."""
    assert validate(code) == code
    nameplate, words = split(code)
    assert f"{nameplate}-{words}" == code
    assert validate_nameplate(nameplate) == nameplate


NO_CODES = {
    "": "no hyphen",
    "4": "no hyphen",
    "purple": "no hyphen",
    "4-": "no words",
    "00-": "no words",
    "-purple": "number",
    "purple-sausages": "number",
    "4a-purple": "number",
    "+4-purple": "number",
    "9" * 41 + "-purple": "number",
    "\N{ARABIC-INDIC DIGIT FOUR}-purple": "number",
    " 4-purple-sausages": "in front",
    "\t4-purple-sausages": "in front",
    "\N{NO-BREAK SPACE}4-purple": "in front",
    "4-purple sausages": "a space in",
    "4-purple-sausages ": "a space in",
    "4-purple-sausages\n": "a space in",
    "4 -purple": "a space in",
    "4-purple\N{IDEOGRAPHIC SPACE}sausages": "a space in",
    "4-purple\N{LINE SEPARATOR}sausages": "a space in",
    "4-purple\0": "unprintable",
    "4-purple\x7f": "unprintable",
    "4-purple\x9b": "unprintable",
    "4-purple\ud800": "unprintable",
    "4-" + "x" * (LONGEST - 1): "at most 1000",
    "4-" + "x" * 10_000_000: "at most 1000",
}


@pytest.mark.parametrize(("code", "hint"), NO_CODES.items(), ids=range(len(NO_CODES)))
def test_no_codes(code: str, hint: str) -> None:
    """What is no code is refused, with a hint and without repeating a secret."""
    with pytest.raises(KeyFormatError, match=hint) as caught:
        validate(code)
    assert isinstance(caught.value, WormholeError)
    assert "sausages" not in str(caught.value).replace("4-purple-sausages", "")


def test_codes_are_normalized() -> None:
    """A decomposed accent is the same code as a composed one."""
    assert validate("4-cafe\N{COMBINING ACUTE ACCENT}") == "4-caf\xe9"
    assert validate_words("cafe\N{COMBINING ACUTE ACCENT}") == "caf\xe9"


def test_bound_holds_after_normalizing() -> None:
    """A character that normalization makes longer cannot push a code over the bound."""
    growing = "4-" + "\N{MUSICAL SYMBOL SIXTEENTH NOTE}" * 900
    assert len(normalize("NFC", growing)) > LONGEST
    with pytest.raises(KeyFormatError, match="at most 1000"):
        validate(growing)


@given(st.text(max_size=30), st.booleans())
def test_any_text(text: str, numbered: bool) -> None:
    """Any text is a code that stays what it is, or KeyFormatError."""
    code = f"7-{text}" if numbered else text
    try:
        once = validate(code)
    except KeyFormatError:
        return
    assert validate(once) == once == normalize("NFC", code)


@given(st.text(max_size=30))
def test_any_words(text: str) -> None:
    """Words are accepted alone exactly if they are accepted behind a nameplate."""
    try:
        words = validate_words(text)
    except KeyFormatError:
        with pytest.raises(KeyFormatError):
            validate(f"7-{text}")
    else:
        # A combining mark at the beginning may not join the hyphen in front of it.
        assert validate(f"7-{words}").startswith("7")


@pytest.mark.parametrize("text", ["", " 4", "4 ", "4\n", "x", "4-", "9" * 41, "\u0664"])
def test_no_nameplates(text: str) -> None:
    """A nameplate is 1 to 40 ASCII digits and nothing else."""
    assert not is_nameplate(text)
    with pytest.raises(KeyFormatError):
        validate_nameplate(text)


@pytest.mark.parametrize("words", ["", " purple", "purple ", "pur\tple"])
def test_no_words(words: str) -> None:
    """Empty words, or words with a space, are refused."""
    with pytest.raises(KeyFormatError):
        validate_words(words)


def test_made_codes() -> None:
    """The first word has three syllables, the next two, and so on; a byte chooses each."""
    assert make("4", b"\x00\x00") == "4-adroitness-aardvark"
    assert make("4", b"\xff\xff") == "4-yucatan-zulu"
    assert make("17", b"\x01\x02\x03", 3) == "17-adviser-accrue-aggregate"


@given(st.integers(0, 10**40 - 1), st.binary(min_size=1, max_size=30))
def test_made_codes_are_codes(nameplate: int, entropy: bytes) -> None:
    """Every code that is made is one."""
    code = make(str(nameplate), entropy, len(entropy))
    assert validate(code) == code
    assert split(code)[0] == str(nameplate)


@pytest.mark.parametrize(
    ("entropy", "length"), [(b"", 0), (b"a", 2), (b"abc", 2), (b"", -1), (bytes(500), 500)]
)
def test_entropy_must_fit(entropy: bytes, length: int) -> None:
    """One byte for each word, at least one word, and no more than a code can hold."""
    with pytest.raises(ValueError, match="word"):
        make("4", entropy, length)


def test_made_codes_check_the_nameplate() -> None:
    """A nameplate that a server invents is checked."""
    with pytest.raises(KeyFormatError):
        make("4\n", b"ab")
