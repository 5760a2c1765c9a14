"""The disk of a world: what is sent, and where what is received appears, as real files.

It outlives processes. Around each step by which a file gets its name a process may die, and what is
under that name must be whole and right, whenever somebody looks.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from attrs import define, field

from holdfast.transfer import hidden, landing
from holdfast.transit.bulk import ROOM
from tests.simulation.kernel import Died

if TYPE_CHECKING:
    from tests.simulation.world import World

SIZE = 3 * ROOM + 1000
"""Bytes of a file: four records."""

STEPS: tuple[tuple[Any, str], ...] = (
    (landing, "sync_file"),
    (landing, "rename_new"),
    (landing, "sync_directory"),
    (hidden.Hidden, "mark"),
    (hidden.Hidden, "remove"),
)
"""Each changes what the next process finds."""


def content(name: str) -> bytes:
    """What is in the file that this flow sends, or is sent."""
    return Random(f"the file of {name}").randbytes(SIZE)


@define(eq=False, repr=False)
class Disk:
    """Files under a directory of their own."""

    world: World
    _root: Path | None = field(default=None, init=False)
    expected: dict[Path, bytes] = field(factory=dict)
    """What may appear under which name."""
    _seen: dict[Path, tuple[int, int, int]] = field(factory=dict)
    """What was looked at, as it was then."""

    @property
    def root(self) -> Path:
        """The directory, which is made when somebody wants it."""
        if self._root is None:
            memory = Path("/dev/shm")  # where there is such a thing
            within = memory if memory.is_dir() else None
            self._root = Path(mkdtemp(dir=within, prefix="holdfast-sim-"))
        return self._root

    def source(self, name: str) -> Path:
        """The file that a flow sends."""
        path = self.root / f"{name}.bin"
        path.write_bytes(content(name))
        return path

    def target(self, name: str, of: str) -> Path:
        """Where a flow puts the file `of` another."""
        directory = self.root / f"in-{name}"
        directory.mkdir()
        self.expected[directory / "file"] = content(of)
        return directory / "file"

    def has_arrived(self, name: str) -> bool:
        """Whether a flow's file has appeared."""
        return (self.root / f"in-{name}" / "file").exists()

    def look(self) -> None:
        """What has its name is whole and right."""
        for path, right in self.expected.items():
            try:
                found = path.stat()
            except FileNotFoundError:
                if path in self._seen:
                    self.world.violate(f"{path.parent.name} has lost its file")
                continue
            seen = (found.st_ino, found.st_size, found.st_mtime_ns)
            if self._seen.get(path) != seen:
                self._seen[path] = seen
                if path.read_bytes() != right:
                    self.world.violate(f"{path.parent.name} has a file that is not what was sent")

    def check_tidy(self) -> None:
        """Nothing is left of a transfer that is over but the file, or a part of it that says so."""
        for path, right in self.expected.items():
            for each in sorted(path.parent.iterdir()):
                if each.name not in ("file", "file.part"):
                    self.world.violate(f"{each.name} is left in {path.parent.name}")
                elif not right.startswith(each.read_bytes()):
                    self.world.violate(f"{each.name} in {path.parent.name} is something else")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Have a process die around each step; and no dead one change anything."""
        saved = [(place, name, place.__dict__[name]) for place, name in STEPS]
        for place, name, real in saved:
            setattr(place, name, self._around(name, real))
        try:
            yield
        finally:
            for place, name, real in saved:
                setattr(place, name, real)
            if self._root is not None:
                shutil.rmtree(self._root)

    def _around(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        world = self.world

        @wraps(real)
        def step(*args: Any, **kwargs: Any) -> Any:
            actor = world.kernel.current
            if actor is None:
                return real(*args, **kwargs)
            if actor.doomed or not actor.alive:
                raise Died
            world.faults.at_disk(actor)
            result = real(*args, **kwargs)
            world.say(actor.name, f"disk: {name}")
            self.look()
            world.faults.behind_disk(actor)
            return result

        return step
