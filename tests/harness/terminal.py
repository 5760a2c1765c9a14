"""A command on a terminal of any width, whose user sees, types and presses Ctrl-C."""

import contextlib
import fcntl
import os
import pty
import signal
import struct
import termios
import threading
import time
from pathlib import Path

from tests.harness import forks
from tests.harness.closing import Closing
from tests.harness.process import BIN, Holdfast
from tests.harness.waiting import DEADLINE, until


def new_terminal(columns: int) -> tuple[int, int]:
    """Return our end and the other end of a terminal so wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    return ours, theirs


def shown(written: str, columns: int) -> list[str]:
    """Return what a terminal so wide shows of it: lines, without spaces at their ends."""
    lines, column = [[" "] * columns], 0
    for each in written:
        if each == "\r":
            column = 0
        elif each == "\n":
            lines.append([" "] * columns)
        elif each.isprintable():
            if column == columns:  # it wraps
                lines.append([" "] * columns)
                column = 0
            lines[-1][column] = each
            column += 1
    return ["".join(line).rstrip() for line in lines]


class Terminal(Closing):
    """`holdfast WORDS...`, or another *program*, on a terminal of its own."""

    def __init__(
        self,
        home: Holdfast,
        *words: str | Path,
        columns: int = 80,
        cwd: Path | None = None,
        program: str = "holdfast",
    ) -> None:
        self._ours, theirs = new_terminal(columns)
        env = home.env(TERM="xterm")
        env.pop("COLUMNS", None)
        command = [BIN / program, *words]
        self._process = forks.start(
            command, env=env, cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        self._columns = columns
        self._written = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def written(self) -> str:
        """All that it wrote so far, and what was typed."""
        return self._written.decode(errors="replace")

    @property
    def lines(self) -> list[str]:
        """What is on the screen."""
        return shown(self.written, self._columns)

    def wait_for(self, text: str) -> None:
        """Wait until it has written this."""
        until(lambda: text in self.written, lambda: f"{text!r} in {self.written!r}")

    def type(self, text: str) -> None:
        """Type it."""
        os.write(self._ours, text.encode())

    def press_tab_until(self, text: str) -> None:
        """Press Tab until it has written this: what it completes may not be known at first."""
        pressed = 0.0

        def is_there() -> bool:
            nonlocal pressed
            there = text in self.written.replace("\a", "")
            if not there and time.monotonic() - pressed > 1:
                self.type("\t")
                pressed = time.monotonic()
            return there

        until(is_there, lambda: f"{text!r} in {self.written!r}")
        # One Tab too many may have asked whether all words are to be shown: they are not.
        self.type("\a")

    def interrupt(self) -> None:
        """Do what Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """Wait for its end; return its exit status."""
        status = self._process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return status

    def close(self) -> None:
        """Kill it if it is still there."""
        self._process.kill()
        self.wait()
        with contextlib.suppress(OSError):
            os.close(self._ours)

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # it has ended
            while chunk := os.read(self._ours, 65_536):
                self._written += chunk
