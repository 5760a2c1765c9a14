"""What is on the screen while a file moves, at each width, and where there is no terminal."""

import os
import sys
from typing import Any, Literal

import pytest
from attrs import evolve

from holdfast.cli import say
from holdfast.cli.transfers import Transfer, route_in_words
from holdfast.transfer.throttle import ITS_TURN
from holdfast_journal import FlowRow
from tests.cli.test_progress import row
from tests.harness.closing import Closing
from tests.harness.terminal import new_terminal, shown

GB = 10**9
NAME = "a very long name of a file \x1b[31m.pdf"
DIGEST = "ab" * 32


def told(status: str = "exchanging", finished_at: float | None = None, **more: Any) -> FlowRow:
    return evolve(row("0123456789ab-1", status, finished_at), published=more)


MEASURED: dict[str, Any] = {"file": NAME, "size": 4 * GB, "sha256": DIGEST}
CONNECTED: dict[str, Any] = MEASURED | {"sent": 1.0, "route": "->tcp:192.0.2.1:4711"}


COLUMNS = pytest.mark.parametrize("columns", [80, 40])


class Screen(Closing):
    """Standard error is a terminal so wide; in a fixture, pytest would undo that again."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._ours, theirs = new_terminal(columns)
        self._before, sys.stderr = sys.stderr, os.fdopen(theirs, "w")
        # An outlet outlives its stream: later tests must not find one whose descriptor is closed.
        self._outlets, say._outlets = say._outlets, say._Outlets()

    @property
    def lines(self) -> list[str]:
        """What it shows of what was written since the last look."""
        say.err("\a", end="")  # which is not seen
        written = b""
        while not written.endswith(b"\a"):
            written += os.read(self._ours, 65_536)
        return shown(written.decode(), self._columns)

    def close(self) -> None:
        """Standard error is what it was."""
        ours, sys.stderr = sys.stderr, self._before
        say._outlets = self._outlets
        ours.close()
        os.close(self._ours)


@COLUMNS
def test_it_moves(columns: int) -> None:
    """Each look changes one line; it fits, and says how far, how fast and how long."""
    with Screen(columns) as screen:
        transfer = Transfer("sender")
        for second in range(5):
            transfer.show(told(**CONNECTED, moved=second * GB // 2), float(second))
        *before, last = screen.lines
    assert before[-1] == "connected directly to 192.0.2.1:4711"
    if columns == 80:
        assert (
            last == "a very long name of a file \\x1b[31m.…  50 %  2 GB of 4 GB  500 MB/s  4 s left"
        )
    else:
        assert last == "50 %  2 GB  500 MB/s  4 s left"
    assert len("".join(before)) < 300, "nothing else was written again"


@COLUMNS
def test_it_waits_and_goes_on(columns: int) -> None:
    """That the connection broke is said once, and once that there is another."""
    waiting = CONNECTED | {"moved": GB, "waiting": "the other side is away"}
    with Screen(columns) as screen:
        transfer = Transfer("sender")
        transfer.show(told(**CONNECTED, moved=GB), 0.0)
        for second in range(3):
            transfer.show(told(**waiting), float(second))
        lines = screen.lines
        assert lines[-1] == "waiting for the other side"
        transfer.show(told(**CONNECTED, moved=GB), 9.0)
        lines += screen.lines
    text = "".join(lines)
    assert text.count("waiting: the other side is away") == 1
    assert text.count("connected directly to 192.0.2.1:4711") == 2
    assert "25 %" in lines[-1]


def test_the_end_leaves_nothing() -> None:
    """What comes next begins on a line of its own."""
    with Screen(80) as screen:
        transfer = Transfer("sender")
        transfer.show(told(**CONNECTED, moved=GB), 0.0)
        transfer.show(told("done", 1.0), 1.0)
        assert screen.lines[-1] == ""


@pytest.mark.parametrize(
    ("role", "status", "published", "words"),
    [
        ("sender", "starting", {}, "reading what will be sent"),
        ("sender", "waiting", MEASURED, "waiting for the recipient"),
        ("sender", "exchanging", MEASURED, "the recipient is asked"),
        ("sender", "exchanging", MEASURED | {"sent": 1.0}, "connecting to the recipient"),
        ("sender", "exchanging", CONNECTED | {"moved": 4 * GB}, "everything was sent; "),
        ("receiver", "starting", {}, "waiting for the sender"),
        ("receiver", "exchanging", MEASURED | {"accepted": 1.0}, "connecting to the sender"),
        ("receiver", "exchanging", CONNECTED | {"moved": 4 * GB}, "everything has arrived"),
        ("receiver", "exchanging", {}, ""),
    ],
)
def test_every_stage_has_words(
    role: Literal["sender", "receiver"],
    status: str,
    published: dict[str, Any],
    words: str,
) -> None:
    """Nobody looks at an empty line while something goes on."""
    with Screen(80) as screen:
        Transfer(role).show(told(status, **published), 0.0)
        last = screen.lines[-1]
    assert last.startswith(words)
    assert bool(last) == bool(words)


def test_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A line when it is known what is sent, and one when it begins: no figures."""
    transfer = Transfer("sender")
    for published in (MEASURED, CONNECTED, CONNECTED | {"moved": GB}):
        transfer.show(told(**published), 0.0)
    assert capsys.readouterr().err.splitlines() == [
        "a very long name of a file \\x1b[31m.pdf: 4 GB (4,000,000,000 bytes)",
        f"sha256: {DIGEST}",
        "connected directly to 192.0.2.1:4711",
    ]


def test_behind_others(capsys: pytest.CaptureFixture[str]) -> None:
    """What waits for its turn tries nothing."""
    Transfer("sender").show(told(**CONNECTED, waiting=ITS_TURN), 0.0)
    assert capsys.readouterr().err.endswith("\nwaiting: its turn, behind other files\n")


def test_what_an_earlier_process_had_is_not_said_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its connection is gone; that there is another is said."""
    transfer = Transfer("receiver")
    earlier = told(**CONNECTED, moved=GB)
    transfer.continues(earlier)
    transfer.show(earlier, 0.0)
    assert capsys.readouterr().err == ""
    transfer.show(told(**CONNECTED | {"route": "->relay:tcp:[::1]:4001"}), 1.0)
    assert capsys.readouterr().err == "connected through the relay [::1]:4001\n"


@pytest.mark.parametrize(
    ("route", "words"),
    [
        ("->tcp:192.0.2.1:4711", "directly to 192.0.2.1:4711"),
        ("<-tcp:[2001:db8::1]:4711", "directly from [2001:db8::1]:4711"),
        ("->relay:tcp:host:4001", "through the relay host:4001"),
        ("tor->tcp:host:4001", "directly to host:4001, by Tor"),
        ("something\x1b", "something\\x1b"),
    ],
)
def test_where_a_connection_leads(route: str, words: str) -> None:
    assert route_in_words(route) == words
