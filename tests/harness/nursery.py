"""Many short lives of the `holdfast` command, each ended where a test wants it to end."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from attrs import asdict, define, frozen

from tests.harness.process import Child, Finished, environment
from tests.harness.waiting import DEADLINE

PROGRAM = Path(__file__).with_name("victim.py")


@frozen
class Death:
    """When a process kills itself with SIGKILL; never, if nothing is given.

    Args:
        at: a moment, as `tests.harness.moments` names them.
        step: the number of the moment, counted from 1, whatever moment that is.
        since: the place from which steps are counted, instead of the start.
        seconds: the time since its start.
        record: whether every moment is to be written down.
        halts: moments at which it stands still until `Victim.go_on`.
    """

    at: str | None = None
    step: int | None = None
    since: str | None = None
    seconds: float | None = None
    record: bool = False
    halts: tuple[str, ...] = ()


@define
class Victim:
    """One life of a `holdfast` command."""

    nursery: "Nursery"
    id: str
    folder: Path

    @property
    def out(self) -> str:
        """Standard output so far."""
        return self._text("out")

    @property
    def err(self) -> str:
        """Standard error so far."""
        return self._text("err")

    @property
    def moments(self) -> list[str]:
        """The moments that it has passed so far, if they are recorded."""
        return [each for each in self._text("log").splitlines() if " " not in each]

    def halted_at(self, moment: str) -> bool:
        """Whether it stands still at this moment, or has stood there."""
        return f"halted {moment}" in self._text("log").splitlines()

    def go_on(self) -> None:
        """Let it go on from where it stands still."""
        self.signal(signal.SIGCONT)

    @property
    def died_at(self) -> str | None:
        """The moment at which it killed itself; "time" if that was the time to."""
        last = self._text("log").splitlines()[-1:]
        return last[0].removeprefix("died ") if last and last[0].startswith("died ") else None

    @property
    def lost_nameplates(self) -> int:
        """How many it may have asked for and not come to know; the server must forget them.

        It is to be recorded.
        """
        passed = [each.rpartition(":")[0] for each in self.moments]
        return passed.count("allocate:after") - passed.count("commit-allocated:after")

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self.nursery.status(self.id) is None

    def wait(self, timeout: float = DEADLINE) -> Finished:
        """Wait for its end and return it.  Raises AssertionError at the deadline."""
        status = self.nursery.wait(self.id, timeout)
        if status is None:
            raise AssertionError(f"still there after {timeout:g} s\n{self.describe()}")
        return Finished(status, self.out, self.err)

    def signal(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        if self.alive:
            os.kill(self.nursery.pid(self.id), number)

    def kill9(self) -> Finished:
        """Kill it with SIGKILL, from outside; wait for its end."""
        self.signal(signal.SIGKILL)
        return self.wait()

    def describe(self) -> str:
        """Return all it said, for a failure's text."""
        return f"victim {self.id}, died at {self.died_at}\n{self.out}\n{self.err}"

    def _text(self, stream: str) -> str:
        try:
            return (self.folder / f"{self.id}.{stream}").read_text(errors="replace")
        except FileNotFoundError:
            return ""


class Nursery:
    """Starts `holdfast` commands cheaply: forks of one process that has imported everything.

    Each is the command's own main(), in a process of its own.  Their output is kept in `folder`.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._pids: dict[str, int] = {}
        self._ends: dict[str, int] = {}
        self._child = Child(
            [sys.executable, PROGRAM, "--nursery"], stdin=subprocess.PIPE, on_line=self._told
        )

    def __enter__(self) -> "Nursery":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._changed:
            alive = [pid for id, pid in self._pids.items() if id not in self._ends]
        self._child.close()
        for pid in alive:
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def start(
        self, *arguments: str | Path, home: Path, death: Death | None = None, **env: str
    ) -> Victim:
        """Start `holdfast ARGUMENTS...` in `home`, its working directory too."""
        with self._changed:
            id = f"{next(self._numbers):04}"
        home.mkdir(parents=True, exist_ok=True)
        paths = {each: str(self._folder / f"{id}.{each}") for each in ("out", "err")}
        fate: Mapping[str, object] = asdict(death or Death())
        ours = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state")}
        wanted = {
            "id": id,
            "arguments": [str(each) for each in arguments],
            "env": environment(**ours | env),
            "cwd": str(home),
            "fate": {"log": str(self._folder / f"{id}.log"), **fate},
            **paths,
        }
        self._child.write(json.dumps(wanted) + "\n")
        with self._changed:
            end = time.monotonic() + DEADLINE
            while id not in self._pids:
                if time.monotonic() > end or not self._child.alive:
                    raise AssertionError(f"the nursery starts nobody\n{self._child.describe()}")
                self._changed.wait(1)
        return Victim(self, id, self._folder)

    def run(self, *arguments: str | Path, home: Path, **env: str) -> Finished:
        """Run `holdfast ARGUMENTS...` to its end."""
        return self.start(*arguments, home=home, **env).wait()

    def pid(self, id: str) -> int:
        """The process number of a victim."""
        with self._changed:
            return self._pids[id]

    def status(self, id: str) -> int | None:
        """How a victim ended, or None: exit status, or minus the signal's number."""
        with self._changed:
            return self._ends.get(id)

    def wait(self, id: str, timeout: float) -> int | None:
        """Wait for the end of a victim; None at the deadline."""
        end = time.monotonic() + timeout
        with self._changed:
            while id not in self._ends:
                left = end - time.monotonic()
                if left <= 0 or not self._child.alive:
                    return None
                self._changed.wait(min(left, 1))
            return self._ends[id]

    def _told(self, line: str) -> None:
        said = json.loads(line)
        with self._changed:
            if "pid" in said:
                self._pids[said["id"]] = said["pid"]
            else:
                self._ends[said["id"]] = said["status"]
            self._changed.notify_all()
