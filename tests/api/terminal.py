"""A real terminal, and a child that has it as its own."""

import os
import pty
import signal
import subprocess
import termios
import threading
import time
from typing import Any

from tests.harness.closing import Closing
from tests.harness.process import environment
from tests.harness.waiting import DEADLINE

# The first terminal that the leader of a new session opens is its controlling terminal.
_TAKE_THE_TERMINAL = 'terminal=$0; exec "$@" <"$terminal" >"$terminal" 2>&1'


class Terminal(Closing):
    """A terminal with one program on it; all that it shows is kept."""

    def __init__(self, *command: str) -> None:
        self._ours, self._theirs = pty.openpty()
        self.before = self.settings
        name = os.ttyname(self._theirs)
        self._child = subprocess.Popen(
            ["/bin/sh", "-c", _TAKE_THE_TERMINAL, name, *command],
            start_new_session=True,
            env=environment(TERM="xterm", INPUTRC="/dev/null"),
        )
        self._shown = b""
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def close(self) -> None:
        """Kill the program if it is still there, and close the terminal."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGKILL)
            self._child.wait()
        os.close(self._theirs)

    @property
    def settings(self) -> list[Any]:
        """How the terminal is set."""
        return termios.tcgetattr(self._theirs)

    @property
    def shown(self) -> str:
        """All that the program has shown."""
        with self._changed:
            return self._so_far()

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until this has been shown so many times."""
        assert self._wait(text, DEADLINE, times), f"{text!r} is not in\n{self.shown}"

    def press_tab_until(self, text: str) -> None:
        """Press Tab, again and again, until this is shown."""
        end = time.monotonic() + DEADLINE
        self.type("\t")
        while not self._wait(text, 0.5):
            assert time.monotonic() < end, f"{text!r} is not in\n{self.shown}"
            self.type("\t")

    def wait(self) -> int:
        """Wait for the program's end; return its status."""
        try:
            return self._child.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there; it showed\n{self.shown}") from None

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._child.terminate()

    def _wait(self, text: str, timeout: float, times: int = 1) -> bool:
        end = time.monotonic() + timeout
        with self._changed:
            while self._so_far().count(text) < times:
                left = end - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def _so_far(self) -> str:
        return self._shown.decode(errors="replace").replace("\x07", "")

    def _read(self) -> None:
        try:
            while chunk := os.read(self._ours, 4096):
                with self._changed:
                    self._shown += chunk
                    self._changed.notify_all()
        except OSError:
            pass  # nobody has the other end any more
        os.close(self._ours)
