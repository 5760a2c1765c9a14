"""What else goes wrong in a soak while processes are killed: one kind for each batch.

Everything that fails here really does: a PostgreSQL server is killed, a disk is full, a process
stands still, a system call returns an error.
"""

import contextlib
import math
import os
import random
import re
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path

from attrs import define, field

from tests.harness.nursery import Victim
from tests.harness.process import Child, Finished
from tests.journal.postgres import Server

Start = Callable[..., Victim]
"""Starts a `holdfast` command in the batch's folder."""

STORAGE = re.compile(
    r"No space left|disk is full|disk I/O error|Input/output error|cannot be used|cannot be changed"
    r"|cannot be written|does not answer|database is locked|the disk failed|not saved"
)
"""What a process says that ends because of its storage."""


def is_storage(finished: Finished) -> bool:
    """Whether a process ended by itself, said that it was its storage, and nothing worse."""
    clear = "Traceback" not in finished.err and "inside Holdfast" not in finished.err
    return finished.status in (1, 2) and clear and bool(STORAGE.search(finished.err))


@define
class Weather:
    """Calm: nothing but what the soak does in any case.

    `events` counts what was done.
    """

    rng: random.Random
    folder: Path
    kills: int = 20
    events: dict[str, int] = field(factory=dict)

    @property
    def home(self) -> Path:
        """Where the processes live."""
        return self.folder

    @property
    def url(self) -> str:
        """The database."""
        return f"sqlite:///{self.home / 'journal.db'}"

    @property
    def environ(self) -> dict[str, str]:
        """What else the processes have in their environment."""
        return {}

    def born(self, victim: Victim, start: Start) -> None:
        """The process was started; `start` starts others."""

    def act(self) -> None:
        """Maybe do something: called some fifty times a second."""

    def clear(self) -> bool:
        """Let all be well again; whether it is. Called until it is."""
        return True

    def forgives(self, finished: Finished) -> bool:
        """Whether a process could end like this because of what was done."""
        return False

    def storage(self, finished: Finished, why: str) -> bool:
        """Whether a process ended because of its storage; that is counted."""
        if is_storage(finished):
            self.note(f"ended because {why}")
            return True
        return False

    def note(self, event: str) -> None:
        """Count an event."""
        self.events[event] = self.events.get(event, 0) + 1


@define
class OnPostgres(Weather):
    """The journal is in PostgreSQL; in SQLite, as everywhere else, if there is no `server`."""

    server: Server | None = None
    _url: str = ""

    @property
    def url(self) -> str:
        """A new database."""
        if not self._url:
            here = f"sqlite:///{self.home / 'journal.db'}"
            self._url = here if self.server is None else self.server.database()
        return self._url

    @property
    def environ(self) -> dict[str, str]:
        """A PostgreSQL database has no file beside it where its key could be."""
        if self.server is None:
            return {}
        file = self.folder / "key"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(secrets.token_hex(32))
        return {"HOLDFAST_KEY_FILE": str(file)}


@define
class DeadPostgres(OnPostgres):
    """The PostgreSQL server is killed with SIGKILL and started again."""

    kills: int = 12

    def act(self) -> None:
        """Kill it once in some two seconds; now and then it is away for a while."""
        if self.rng.random() < 0.01:
            assert self.server is not None
            self.server.kill9()
            if self.rng.random() < 0.3:
                time.sleep(self.rng.uniform(0.5, 3))
            self.server.start()
            self.note("PostgreSQL killed")

    def forgives(self, finished: Finished) -> bool:
        """A process that starts while there is no server says so and ends."""
        return self.storage(finished, "PostgreSQL was away")


@define
class FullDisk(Weather):
    """The database is on a small file system of its own, which is full for a while."""

    kills: int = 12
    _until: float = 0.0

    @property
    def home(self) -> Path:
        """The small file system."""
        return self.folder / "disk"

    def act(self) -> None:
        """Fill it, or free it again."""
        if self._until and time.monotonic() > self._until:
            self.clear()
        elif not self._until and self.rng.random() < 0.008:
            with contextlib.suppress(OSError), (self.home / "filler").open("wb", 0) as filler:
                while True:
                    filler.write(bytes(4096))
            self._until = time.monotonic() + self.rng.uniform(0.2, 4)
            self.note("disk full")

    def clear(self) -> bool:
        """Free it."""
        (self.home / "filler").unlink(missing_ok=True)
        self._until = 0.0
        return True

    def forgives(self, finished: Finished) -> bool:
        """A process that cannot write says so and ends."""
        return self.storage(finished, "the disk was full")


@define
class StandStill(OnPostgres):
    """More workers, which are stopped with SIGSTOP, for longer than their leases too.

    Three with PostgreSQL, and one with SQLite, where there is no room for more.
    """

    kills: int = 6
    longest: float = 36.0
    _workers: list[Victim] = field(factory=list)
    _resume_at: dict[str, float] = field(factory=dict)
    _start: Start | None = None
    _stopped: bool = False
    _over: bool = False

    def born(self, victim: Victim, start: Start) -> None:
        """Start the others with the first."""
        self._start = start
        # Not before there is a database.
        if not (self._workers or self._over) and (self.home / "codes.csv").exists():
            self._workers = [start("run") for _ in range(1 if self.server is None else 3)]

    def act(self) -> None:
        """Stop one, kill one, or let one go on."""
        for place, worker in enumerate(self._workers):
            due = self._resume_at.get(worker.pid)
            if due is not None:
                if time.monotonic() > due:
                    worker.signal(signal.SIGCONT)
                    del self._resume_at[worker.pid]
            elif not worker.alive:
                self._replace(place, worker)
            elif self.rng.random() < 0.006:
                worker.kill9()
                self.note("worker killed")
            elif self.rng.random() < 0.02 and len(self._resume_at) < max(1, len(self._workers) - 1):
                # The first is a long one.
                pause = self.rng.choice([0.5, 3.0]) if self._stopped else self.longest
                self._stopped = True
                self._resume_at[worker.pid] = time.monotonic() + pause
                worker.signal(signal.SIGSTOP)
                self.note(f"worker stopped for {pause:g} s")

    def _replace(self, place: int, worker: Victim) -> None:
        ended = worker.wait()
        assert ended.status == -9 or is_storage(ended), worker.describe()
        assert self._start is not None
        self._workers[place] = self._start("run")

    def clear(self) -> bool:
        """Let all go on, each when its time is over, and then end them."""
        for worker in self._workers:
            if time.monotonic() > self._resume_at.get(worker.pid, math.inf):
                worker.signal(signal.SIGCONT)
                del self._resume_at[worker.pid]
        if self._resume_at:
            return False
        for worker in self._workers:
            worker.signal(signal.SIGINT)
        for worker in self._workers:
            ended = worker.wait()
            assert ended.status in (0, 130, -9) or is_storage(ended), worker.describe()
        self._workers.clear()
        self._over = True
        return True

    def forgives(self, finished: Finished) -> bool:
        """Who is stopped may hold the database's lock for longer than others wait."""
        return self.storage(finished, "the database was locked")


@define
class FailingOutput(Weather):
    """What the processes print is refused, or cut short, at random."""

    kills: int = 12

    @property
    def environ(self) -> dict[str, str]:
        """See `tests.harness.failing_output`."""
        self.note("a life with failing output")
        return {"FAILING_OUTPUT": f"sometimes:{self.rng.random()}"}


INJECTIONS = [
    ("fdatasync", "EIO", "{n}"),
    ("fsync", "EIO", "{n}"),
    ("fsync", "ENOSPC", "{n}"),
    ("pwrite64", "ENOSPC", "{n}..{m}"),
    ("pwrite64", "EIO", "{n}..{m}"),
    ("pwritev", "EIO", "{n}..{m}"),
    ("ftruncate", "EIO", "1..2"),
]


@define
class FailingCalls(Weather):
    """Some lives whose writes and syncs fail: strace answers in the kernel's place."""

    kills: int = 8
    _tracers: list[Child] = field(factory=list)

    def born(self, victim: Victim, start: Start) -> None:
        """Follow every other one."""
        if self._tracers and self._tracers[-1].alive:
            self._tracers[-1].kill9()
        if self.rng.random() < 0.5:
            return
        call, error, when = self.rng.choice(INJECTIONS)
        first = self.rng.randint(1, 30)
        when = when.format(n=first, m=first + self.rng.randint(0, 20))
        what = f"inject={call}:error={error}:when={when}"
        pid = str(victim.pid)
        options = ["-f", "-qq", "-o", os.devnull, "-e", f"trace={call}", "-e", what]
        self._tracers.append(Child(["strace", *options, "-p", pid]))
        self.note(f"{call} {error}")

    def clear(self) -> bool:
        """Follow nobody any more."""
        for each in self._tracers:
            each.close()
        self._tracers.clear()
        return True

    def forgives(self, finished: Finished) -> bool:
        """A process whose storage fails says so and ends."""
        return self.storage(finished, "a call failed")
