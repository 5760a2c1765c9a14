"""Durations as a person writes them."""

import pytest

from holdfast.operating.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("8h", 28_800),
        ("1h30m", 5_400),
        ("30d", 2_592_000),
        ("2w", 1_209_600),
        (" 1D12H ", 129_600),
        ("100m", 6_000),
    ],
)
def test_is_read_as_meant(text: str, seconds: float) -> None:
    """Each unit counts, parts add up, case and surrounding blanks do not matter."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("30", "give it a unit"),
        ("", "write it like"),
        ("h", "write it like"),
        ("1.5h", "write it like"),
        ("-1h", "write it like"),
        ("30m1h", "write it like"),
        ("1h1h", "write it like"),
        ("1h 30m", "write it like"),
        ("forever", "write it like"),
        ("0s", "more than 0s"),
        ("999999999w", "at most a hundred years"),
        ("1" * 5_000 + "d", "write it like"),
        ("²s", "write it like"),
    ],
)
def test_anything_else_is_refused_with_a_hint(text: str, hint: str) -> None:
    """A slip is told in one line that says what to write, and never guessed at."""
    with pytest.raises(ValueError, match="duration") as refused:
        parse_duration(text)
    assert hint in str(refused.value)
    assert len(str(refused.value)) < 200
