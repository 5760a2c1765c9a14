"""Files between two ends, either of which may die: real commands, real files, real peers."""

import json
import os
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import define, field

from tests.harness.nursery import PROGRAM, Death, Victim
from tests.harness.process import NO_RELAY
from tests.kill.world import World

PATIENCE = 180.0
"""Seconds after which something is wrong: a stock client waits for a connection for two minutes,
also for one that will not come because we died when it was to be chosen."""

SIZE = 1_500_000
"""Bytes of a file: a dozen records, some of them in no buffer of the kernel's when a side dies."""

FOLDER_FILES = 3


@define
class End:
    """One side's command: started again, with the same words, whenever it has killed itself.

    `deaths` are those of its lives, one after another; the life after the last one is not killed.
    """

    world: World
    home: Path
    words: tuple[str | Path, ...]
    deaths: Sequence[Death] = ()
    env: dict[str, str] = field(factory=lambda: dict(NO_RELAY))
    program: Path = PROGRAM
    lives: list[Victim] = field(factory=list)

    def start(self) -> Victim:
        """Begin a life."""
        number = len(self.lives)
        death = self.deaths[number] if number < len(self.deaths) else None
        self.lives.append(
            self.world.start(self.home, *self.words, death=death, program=self.program, **self.env)
        )
        return self.lives[-1]

    def tend(self) -> bool:
        """Start it again if it is dead; return whether it has ended by itself."""
        if not self.lives:
            self.start()
        ended = self.lives[-1].status()
        if ended == -9:
            self.world.check_after_death(self.home)
            self.start()
        return ended not in (None, -9)

    @property
    def status(self) -> int | None:
        """How it has ended."""
        return self.lives[-1].status()

    @property
    def moments(self) -> list[str]:
        """Of all its lives."""
        return [each for life in self.lives for each in life.moments]

    @property
    def started_at(self) -> list[int]:
        """The bytes at which its transfers began, or went on."""
        places = [each.split(":") for each in self.moments]
        return [
            int(place.rpartition("-")[2])
            for place, when, _ in places
            if when == "before" and place.startswith(("send-from-", "receive-from-"))
        ]

    def row(self) -> dict[str, Any]:
        """What `holdfast status --json` says of it."""
        [row] = json.loads(self.world.status(self.home))
        return dict(row)

    @property
    def reason(self) -> str:
        """Why it has failed, as `holdfast status --json` says it."""
        row = self.row()
        return str(row["published"].get("reason") or row)

    def describe(self) -> str:
        """All that it did and said."""
        return "\n".join(life.describe() for life in self.lives)


def make(path: Path) -> Path:
    """Make a file that no other is like."""
    path.write_bytes(random.Random(str(path)).randbytes(SIZE))
    return path


def make_folder(path: Path) -> Path:
    """Make a folder with a few files."""
    path.mkdir()
    (path / "empty").mkdir()
    for number in range(FOLDER_FILES):
        (path / f"{number}").write_bytes(os.urandom(SIZE // FOLDER_FILES))
    return path


def contents(path: Path) -> dict[str, bytes]:
    """All files below a folder, or the one file."""
    if path.is_file():
        return {"": path.read_bytes()}
    files = (each for each in path.rglob("*") if each.is_file())
    return {str(each.relative_to(path)): each.read_bytes() for each in files}


def sender(world: World, what: Path, *more: str | Path, deaths: Sequence[Death] = ()) -> End:
    """A `holdfast send` that may die."""
    return End(world, world.home(), ("send", what, *more), deaths)


def receiver(world: World, code: str, *more: str | Path, deaths: Sequence[Death] = ()) -> End:
    """A `holdfast receive --accept` that may die; the file comes into `inbox`."""
    home = world.home()
    inbox(home).mkdir()
    words = ("receive", code, "--accept", "--output-dir", inbox(home), *more)
    return End(world, home, words, deaths)


def inbox(home: Path) -> Path:
    """Where a receiver's file comes."""
    return home / "inbox"


def names(end: End) -> list[str]:
    """All that is in a receiver's inbox, hidden things too."""
    return sorted(each.name for each in inbox(end.home).iterdir())


def code_of(end: End) -> str:
    """Tend a sender until it has said its code."""

    def said() -> str:
        lines = [line for life in end.lives for line in life.out.splitlines(keepends=True)]
        return next((line.strip() for line in lines if line.endswith("\n")), "")

    wait(lambda: said() or end.tend(), end)
    return said()


def wait(question: Any, *ends: End) -> None:
    """Tend these ends until it is so."""
    until = time.monotonic() + PATIENCE
    while not question():
        assert time.monotonic() < until, "\n\n".join(
            f"{end.describe()}\n{end.lives[-1].moments[-30:]}" for end in ends
        )
        for end in ends:
            end.tend()
        time.sleep(0.02)


def live(*ends: End) -> None:
    """Let all of them live until each has ended by itself."""

    def over() -> bool:
        ended = [end.tend() for end in ends]
        return all(ended)

    wait(over, *ends)
    for end in ends:
        end.world.lost_nameplates += sum(life.lost_nameplates for life in end.lives)


def check_whole(what: Path, to: End) -> None:
    """The receiver has it, whole and right, and nothing else."""
    assert to.status == 0, to.describe()
    assert names(to) == [what.name], to.describe()
    assert contents(inbox(to.home) / what.name) == contents(what)
    to.world.check_one(to.home, "done")
