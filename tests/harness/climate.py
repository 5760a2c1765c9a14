"""Which kinds of weather this machine can have, and what their batches share."""

import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

from tests.harness.process import Child
from tests.harness.weather import (
    DeadPostgres,
    FailingCalls,
    FailingOutput,
    FullDisk,
    StandStill,
    Weather,
)
from tests.journal.postgres import Server, find_server
from tests.journal.postgres import server as postgres_server

KINDS = ["kills", "postgres", "full", "stopped", "failing", "output"]


@define
class Climate:
    """All kinds of weather that this machine can have; `missing` says why not the others."""

    postgres: Server | None
    missing: dict[str, str] = field(factory=dict)

    @contextmanager
    def weather(self, kind: str, rng: random.Random, folder: Path) -> Iterator[Weather]:
        """Make the weather of one batch."""
        match kind:
            case "postgres":
                yield DeadPostgres(rng, folder, server=self.postgres)
            case "full":
                made = FullDisk(rng, folder)
                with small_disk(made.home):
                    yield made
            case "stopped":
                yield StandStill(rng, folder, server=self.postgres)
            case "output":
                yield FailingOutput(rng, folder)
            case "failing":
                failing = FailingCalls(rng, folder)
                try:
                    yield failing
                finally:
                    failing.clear()
            case _:
                yield Weather(rng, folder)


@contextmanager
def climate() -> Iterator[Climate]:
    """See what this machine can do, and start what batches share."""
    made = Climate(None)
    programs = find_server()
    if programs is None:
        made.missing["postgres"] = "no PostgreSQL server is installed in /usr/lib/postgresql"
    try:
        with tempfile.TemporaryDirectory() as folder, small_disk(Path(folder) / "disk"):
            pass
    except (OSError, subprocess.CalledProcessError):
        made.missing["full"] = "only root may mount a small file system"
    if not can_attach():
        made.missing["failing"] = "strace is not installed, or may not trace"
    with contextlib.ExitStack() as stack:
        if programs is not None:
            made.postgres = stack.enter_context(postgres_server(programs))
        yield made


@contextmanager
def small_disk(place: Path, size: str = "12m") -> Iterator[None]:
    """A file system of its own. Raises CalledProcessError if we may not."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "holdfast-soak", str(place)]
    subprocess.run(words, check=True, capture_output=True)
    try:
        yield
    finally:
        # Lazily: a process that was killed a moment ago may not be gone yet.
        subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)


def can_attach() -> bool:
    """Whether strace is there and may look at other processes of ours."""
    if shutil.which("strace") is None:
        return False
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        with Child(["strace", "-qq", "-o", os.devnull, "-p", str(sleeper.pid)]) as tracer:
            status = Path(f"/proc/{sleeper.pid}/status")
            end = time.monotonic() + 10
            while time.monotonic() < end and tracer.alive:
                if f"TracerPid:\t{tracer.pid}" in status.read_text():
                    return True
                time.sleep(0.02)
        return False
    finally:
        sleeper.kill()
        sleeper.wait()
