"""How far a transfer is, in one line: every width, every size, and names that would deceive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from holdfast.cli.pace import WINDOW, Pace, duration, line

GB = 10**9


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (77, "report.pdf  35 %  1.21 GB of 3.4 GB  112 MB/s  20 s left"),
        (54, "report.…  35 %  1.21 GB of 3.4 GB  112 MB/s  20 s left"),
        (50, "35 %  1.21 GB of 3.4 GB  112 MB/s  20 s left"),
        (37, "35 %  1.21 GB  112 MB/s  20 s left"),
        (30, "35 %  1.21 GB  112 MB/s  20 s"),
        (10, "35 %"),
    ],
)
def test_as_much_as_fits(columns: int, expected: str) -> None:
    """What is least needed goes first: the name, the size, words."""
    assert line("report.pdf", 1_210_000_000, 3_400_000_000, 112e6, columns) == expected


def test_a_long_name_is_cut() -> None:
    """And what would command the terminal, or deceive a reader, is escaped."""
    name = "\x1b[2Jexe.\u202efdp" + "x" * 100
    assert line(name, 1000, 2000, None, 45) == "\\x1b[2Jexe.\\u202efdpxxxx…  50 %  1 kB of 2 kB"


@given(
    st.text(min_size=1),
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**63 - 1),
    st.none() | st.floats(1e-3, 1e12),
    st.integers(5, 200),
)
def test_never_wider_than_the_terminal(
    name: str, moved: int, size: int, rate: float | None, columns: int
) -> None:
    """Whatever the numbers are, and with characters that take two columns."""
    assert cell_len(line(name, min(moved, size), size, rate, columns)) <= columns


def test_only_what_is_whole_is_100_percent() -> None:
    assert line("x", GB - 1, GB, None, 8) == "99 %"
    assert line("x", 0, 0, None, 10) == "100 %"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3 * 3600 + 59, "3 h"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_rate_is_that_of_the_last_seconds() -> None:
    """Not of what an earlier process moved, and not of a time that is long past."""
    pace = Pace()
    assert pace.rate(0.0, 5 * GB) is None
    assert pace.rate(1.0, 6 * GB) == pytest.approx(GB)
    for second in range(2, 100):
        pace.rate(float(second), 6 * GB + second)
    assert pace.rate(100.0, 6 * GB + 100) == pytest.approx(1.0, rel=0.2)


def test_a_transfer_that_stands_still_becomes_slow() -> None:
    """The time that is left grows, instead of staying as it was."""
    pace = Pace()
    pace.rate(0.0, 0)
    fast = pace.rate(1.0, 100)
    slow = pace.rate(WINDOW / 2, 100)
    assert fast is not None and slow is not None and slow < fast


def test_a_transfer_that_begins_again_has_no_rate_yet() -> None:
    pace = Pace()
    pace.rate(0.0, 0)
    pace.rate(1.0, 100)
    assert pace.rate(2.0, 10) is None
