"""Times for people: no two of them look the same."""

import time
from collections.abc import Iterator

import pytest

from holdfast.cli.brief import moment, timestamp

SUMMER = 1_792_888_200.0
"""2026-10-25 02:30 in Berlin, half an hour before the clock is put back."""


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_the_hour_that_is_there_twice() -> None:
    """Both have their offset from UTC; in a list it is shown where it is not that of now."""
    winter = SUMMER + 3600
    assert timestamp(SUMMER) == "2026-10-25 02:30:00+0200"
    assert timestamp(winter) == "2026-10-25 02:30:00+0100"
    assert moment(SUMMER, winter) == "02:30:00 +0200"
    assert moment(winter, winter) == "02:30:00"
