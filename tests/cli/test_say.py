"""What running commands print: in order, once, in bounded memory, whatever the stream does."""

import contextlib
import errno
import os
import pty
import sys
import threading
from pathlib import Path

import click
import pytest
from rich.console import Console

from holdfast.cli import say
from holdfast.cli.failure import Failure
from holdfast.cli.filing import Filing
from holdfast.cli.outlet import Outlet
from holdfast.operating.codes_file import CodesFile
from tests.harness.waiting import until

LINES = [f"{number} Zoë\n".encode() for number in range(6)]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.cli.outlet.PAUSE", 0.001)


class Disk:
    """A stream whose write number `fails` is refused, and which takes `most` bytes at once."""

    def __init__(self, fails: frozenset[int], most: int = 1000) -> None:
        self.written = b""
        self._fails, self._most, self._number = fails, most, 0

    def write(self, data: bytes) -> int:
        self._number += 1
        if self._number in self._fails:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.written += data[: self._most]
        return min(len(data), self._most)


@pytest.mark.parametrize("most", [1000, 3])
def test_whichever_write_is_refused(most: int) -> None:
    """All lines are there once and in order, whichever of the writes was refused."""
    for refused in range(1, 1 + (len(LINES) if most == 1000 else 3 * len(LINES))):
        disk, told = Disk(frozenset({refused}), most), list[str]()
        outlet = Outlet("the log", disk.write, told.append, told.append)
        for line in LINES:
            outlet.put(line)
        until(lambda o=outlet: not o.behind, "all is written")
        assert disk.written == b"".join(LINES)
        assert len(told) == 1
        assert "the log cannot be written: No space left on device" in told[0]


def test_one_that_never_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever prints is not kept; what waits is bounded, and what is missing is said later."""
    monkeypatch.setattr("holdfast.cli.outlet.LIMIT", 4 * len(LINES[0]))
    go_on, told, written = threading.Event(), list[str](), list[bytes]()

    def write(data: bytes) -> int:
        go_on.wait()
        written.append(data)
        return len(data)

    outlet = Outlet("the terminal", write, told.append, told.append)
    for line in LINES:
        outlet.put(line)
    assert outlet.drain(0.01) == len(LINES)
    go_on.set()
    until(lambda: told != [], "it is said")
    assert written == LINES[:4]
    assert "2 lines are missing on the terminal: it was not read for a while" in told[0]


def test_what_is_delivered_is_tried_once() -> None:
    """Who asks hears how it went; lines before and behind it are written all the same."""
    disk, results = Disk(frozenset({2})), list[OSError | None]()
    outlet = Outlet("standard output", disk.write, list[str]().append, list[str]().append)
    for data in (b"before\n", b"text\n", b"again\n"):
        outlet.put(data, results.append)
        until(lambda: not outlet.behind, "it is over")
    until(lambda: len(results) == 3, "all results")
    assert disk.written == b"before\nagain\n"
    assert [error is None for error in results] == [True, False, True]


def test_the_end_waits_for_one_more_try() -> None:
    """A command ends soon although its output is refused for ever, and knows what is missing."""
    disk = Disk(frozenset(range(1, 100_000)))
    outlet = Outlet("standard output", disk.write, list[str]().append, list[str]().append)
    outlet.put(b"code\n")
    assert outlet.drain(5) == 1
    assert outlet.why == "No space left on device"


BACKGROUND = """
import os, signal, sys, termios
from holdfast.cli.outlet import Outlet
modes = termios.tcgetattr(1)
modes[3] |= termios.TOSTOP
termios.tcsetattr(1, termios.TCSANOW, modes)
child = os.fork()
if not child:
    os.setpgid(0, 0)  # in the background now
    outlet = Outlet("the terminal", lambda data: os.write(1, data), print, print)
    outlet.put(b"from the background\\n")
    os._exit(outlet.drain(5))
_, status = os.waitpid(child, os.WUNTRACED)
if os.WIFSTOPPED(status):
    os.kill(child, signal.SIGKILL)
sys.exit("stopped" if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status))
"""


def test_a_terminal_that_stops_who_writes_to_it() -> None:
    """The process goes on, and what it prints is there."""
    child, terminal = pty.fork()
    if not child:
        os.execv(sys.executable, [sys.executable, "-c", BACKGROUND])
    said = b""
    with contextlib.suppress(OSError):  # its end
        while chunk := os.read(terminal, 1000):
            said += chunk
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, said
    assert said == b"from the background\r\n"


def test_who_prints_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What flows of users print while they run goes the same way, and raises nothing there."""
    disk = Disk(frozenset({1, 2, 3}))
    with (tmp_path / "log").open("w", encoding="ascii") as log:
        monkeypatch.setattr(say, "_outlets", say._Outlets())
        monkeypatch.setattr(say, "write_some", lambda _, data: disk.write(data))
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, log)
        say.take_over()
        print("Zoë")
        click.echo("one", err=True)
        Console().print("two")
        assert sys.stdout.fileno() == log.fileno()
        assert not sys.stdout.isatty()
        until(lambda: disk.written.count(b"\n") == 3, "all is written")
    assert disk.written == b"Zo\\xeb\none\ntwo\n"


class Codes(CodesFile):
    """A codes file whose first updates fail."""

    failing = 2

    def update(self, codes: object) -> None:
        self.failing -= 1
        if self.failing >= 0:
            raise Failure("codes.csv: No space left on device")
        super().update(codes)  # type: ignore[arg-type]


def test_a_codes_file_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said once, the codes are kept, and they are there when the file can be written."""
    told: list[str] = []
    monkeypatch.setattr(say, "err", told.append)
    path = tmp_path / "codes.csv"
    filing = Filing(Codes(path, ["ann", "bob"]))
    filing.add({"bob": "2-a-b"})
    filing.add({"ann": "1-a-b"})
    until(lambda: any("written again" in each for each in told), "it is written again")
    until(lambda: "bob" in path.read_text(), "both are there")
    assert path.read_text() == "name,code\nann,1-a-b\nbob,2-a-b\n"
    assert [each for each in told if "trying again" in each] == told[:1]
    filing.finish()
    assert len(told) == 2


def test_codes_that_are_not_in_the_file_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end does not wait for ever, and says where the codes are."""
    told: list[str] = []
    monkeypatch.setattr(say, "err", told.append)
    codes = Codes(tmp_path / "codes.csv")
    codes.failing = 1_000_000
    filing = Filing(codes)
    filing.add({"bob": "2-a-b"})
    filing.finish()
    assert (
        "No space left on device; 1 codes are not in it; 'holdfast status --codes' shows"
        in told[-1]
    )
