"""Commands as children, each in a session of its own, with all they say kept."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from attrs import Factory, define, frozen

from tests.harness import forks
from tests.harness.closing import Closing
from tests.harness.waiting import DEADLINE

BIN = Path(sys.executable).parent
"""Where this environment's commands are."""

NO_RELAY = {"HOLDFAST_TRANSIT": "none"}
"""For commands whose files are to find a direct way, or none: tests do not use the internet."""

# A shell starts what it puts into the background deaf to Ctrl-C, and children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def environment(**extra: str) -> dict[str, str]:
    """Return our environment without what the developer has set for these commands."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HOLDFAST_", "WORMHOLE_"))
    }
    return ours | extra


def state(pid: int | str) -> str | None:
    """Return the letter of a process's state, such as T for a stopped one; None if it is gone.

    One that has ended is gone, too, if only nobody has asked yet how.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    letter = stat.rpartition(")")[2].split()[0]
    return None if letter == "Z" else letter


@frozen
class Finished:
    """How a child ended: exit status (minus the signal's number if one killed it), texts."""

    status: int
    out: str
    err: str


class Child(Closing):
    """A running command in a session and process group of its own.

    Its output is read all the time, so that it never waits for us. `on_line` is called with
    each whole line of its standard output, in another thread.
    As a context manager it is killed at the end, if it is still there. A Python program starts as
    a fork (see `forks`) unless it is to have a `fresh` interpreter.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        stdin: int = subprocess.DEVNULL,
        on_line: Callable[[str], None] | None = None,
        fresh: bool = False,
    ) -> None:
        self.command = [str(word) for word in command]
        self._process = forks.start(
            self.command,
            env=environment() if env is None else env,
            cwd=cwd,
            stdin=stdin,
            fresh=fresh,
        )
        self.pid = self._process.pid
        self._changed = threading.Condition()
        self._on_line = on_line
        self._texts = {"out": bytearray(), "err": bytearray()}
        self._readers = [
            threading.Thread(target=self._read, args=("out", self._process.stdout), daemon=True),
            threading.Thread(target=self._read, args=("err", self._process.stderr), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def out(self) -> str:
        """Standard output so far."""
        return self._text("out")

    @property
    def err(self) -> str:
        """Standard error so far."""
        return self._text("err")

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def wait_for(
        self, pattern: str, timeout: float = DEADLINE, stream: str = "out"
    ) -> re.Match[str]:
        """Wait until `pattern` is found in whole lines of "out" or "err"; return the match.

        Raises AssertionError, with all that it said, at the deadline or at its end.
        """
        end = time.monotonic() + timeout
        reader = self._readers[stream == "err"]
        with self._changed:
            while True:
                ended = not reader.is_alive()
                said = self._text(stream)
                # Half a line would match a pattern that ends with $.
                whole = said if ended else said[: said.rfind("\n") + 1]
                found = re.search(pattern, whole, re.MULTILINE)
                if found:
                    return found
                left = end - time.monotonic()
                if ended or left <= 0:
                    why = "it ended without" if ended else f"not within {timeout:g} s:"
                    raise AssertionError(f"{why} {pattern!r} in {stream}\n{self.describe()}")
                self._changed.wait(min(left, 0.2))

    def write(self, text: str) -> None:
        """Write to its standard input, which must be a pipe."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        self._process.stdin.flush()

    def end_input(self) -> None:
        """Close its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def status(self, timeout: float = 0) -> int | None:
        """Return how it ended, or None if it has not within so many seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float = DEADLINE) -> Finished:
        """Wait for its end and return it. Raises AssertionError at the deadline."""
        status = self.status(timeout)
        if status is None:
            raise AssertionError(f"still there after {timeout:g} s\n{self.describe()}")
        for reader in self._readers:
            # A grandchild that outlives it may hold the pipes open; it is not waited for.
            reader.join(2)
        return Finished(status, self.out, self.err)

    def signal(self, number: int) -> None:
        """Send it (not its children) a signal, if it is still there."""
        if self.alive:
            self._process.send_signal(number)

    def interrupt(self) -> None:
        """Do what Ctrl-C does: SIGINT to the whole foreground group."""
        self._signal_group(signal.SIGINT)

    def terminate(self) -> None:
        """Send it SIGTERM, as a service manager does."""
        self.signal(signal.SIGTERM)

    def kill9(self, *, group: bool = True) -> Finished:
        """Kill it with SIGKILL, with all its children unless told otherwise; wait for its end.

        It may have ended by itself already: then that end is returned.
        """
        if group:
            self._signal_group(signal.SIGKILL)
        else:
            self.signal(signal.SIGKILL)
        return self.wait()

    def close(self) -> None:
        """Kill it if it is still there, and let go of the pipes."""
        self._signal_group(signal.SIGKILL)
        self._process.wait()
        for reader in self._readers:
            reader.join(2)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def describe(self) -> str:
        """Return what it was and all it said, for a failure's text."""
        return (
            f"command: {' '.join(self.command)}\nstatus: {self._process.poll()}\n"
            f"--- standard output\n{self.out}\n--- standard error\n{self.err}"
        )

    def _signal_group(self, number: int) -> None:
        # Not after it was reaped: its number may be somebody else's by then.
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def _text(self, stream: str) -> str:
        with self._changed:
            return self._texts[stream].decode(errors="replace")

    def _read(self, name: str, stream: BinaryIO | None) -> None:
        assert stream is not None
        started = 0
        with stream:
            while chunk := os.read(stream.fileno(), 65536):
                with self._changed:
                    text = self._texts[name]
                    text += chunk
                    lines = []
                    if name == "out" and self._on_line is not None:
                        while (end := text.find(b"\n", started)) >= 0:
                            lines.append(text[started:end].decode(errors="replace"))
                            started = end + 1
                    self._changed.notify_all()
                for line in lines:
                    self._on_line(line)  # type: ignore[misc]


@define
class Holdfast:
    """The `holdfast` command with a home, and so a default database, of its own.

    `relay` and `db` go into the environment of every command, if they are given. The same
    object starts as many processes, one after another or together, as a test needs.
    """

    home: Path
    relay: str | None = None
    db: str | None = None
    extra: dict[str, str] = Factory(dict)

    def start(
        self,
        *arguments: str | Path,
        cwd: Path | None = None,
        fresh: bool = False,
        **env: str,
    ) -> Child:
        """Start `holdfast ARGUMENTS...`; `env` is added to its environment."""
        return Child([BIN / "holdfast", *arguments], env=self.env(**env), cwd=cwd, fresh=fresh)

    def run(
        self,
        *arguments: str | Path,
        timeout: float = DEADLINE,
        cwd: Path | None = None,
        fresh: bool = False,
        **env: str,
    ) -> Finished:
        """Run `holdfast ARGUMENTS...` to its end."""
        with self.start(*arguments, cwd=cwd, fresh=fresh, **env) as child:
            return child.wait(timeout)

    def env(self, **env: str) -> dict[str, str]:
        """Return the environment of its commands, and *env* in it."""
        self.home.mkdir(parents=True, exist_ok=True)
        ours = {"HOME": str(self.home), "XDG_STATE_HOME": str(self.home / "state")}
        if self.relay is not None:
            ours["HOLDFAST_RELAY"] = self.relay
        if self.db is not None:
            ours["HOLDFAST_DB"] = self.db
        return environment(**ours | self.extra | env)
