"""Times as pages show them, whatever another program has put into the database."""

import math

import pytest

from holdfast.console.templating import ago, iso, moment


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5.0, "just now"),
        (1.9, "just now"),
        (59.0, "59 s ago"),
        (60.0, "1 min ago"),
        (7200.0, "2 h ago"),
        (10 * 86400.0, "10 d ago"),
        (1e300, "long ago"),
        (math.inf, "long ago"),
        (-math.inf, "just now"),
        (math.nan, "long ago"),
    ],
)
def test_how_long_ago(seconds: float, words: str) -> None:
    """In the largest unit."""
    assert ago(seconds) == words


@pytest.mark.parametrize("at", [1e300, -1e300, math.inf, math.nan])
def test_what_is_not_a_time(at: float) -> None:
    """It keeps no page from being shown."""
    assert moment(at) == iso(at) == "not a time"


def test_a_time() -> None:
    """In UTC, for people and for programs."""
    assert moment(2e9) == "2033-05-18 03:33:20 UTC"
    assert iso(2e9) == "2033-05-18T03:33:20Z"
