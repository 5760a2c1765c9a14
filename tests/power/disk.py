"""What a power cut can leave of what was written: the model of a disk and its file system.

What was synced is there. Of everything since, any part may be: writes in any order or not at all,
each whole or torn at 512 bytes, a file that has grown and holds zeros where its data never came;
names that were made, changed or removed since their directory was synced, or not. (Syncing a file
does not save its name, which is more than common file systems ask for.) A name changes in one
step, and a sector is written whole or not at all.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from attrs import define, field, frozen

from tests.power.recording import Recording
from tests.power.steps import (
    Cut,
    Made,
    MadeFolder,
    Released,
    Removed,
    Renamed,
    Step,
    Synced,
    SyncedFolder,
    Written,
)

SECTOR = 512
RANDOM = 8
"""Random subsets of each moment's writes."""

MOST = 250
"""Pending steps of one moment that are looked at singly: a sample, if there are more."""

Fate = tuple[tuple[int, int], ...]
"""Which of the pending steps have happened, and how many bytes of each write (-1: all of it)."""

WHOLE = -1


@frozen
class State:
    """What one power cut leaves.

    Args:
        files: contents by name, relative to the root.
        released: what had been released before.
        later: what the program released in the end, this and more.
        how: which power cut it was, for people.
    """

    files: Mapping[str, bytes] = field(repr=False)
    released: Sequence[str] = field(repr=False)
    later: Sequence[str] = field(repr=False)
    how: str

    def put(self, folder: Path) -> None:
        """Make the files in an empty folder."""
        for name, data in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(0o600)


@define
class Disk:
    """What is on the disk for certain, and what may be there."""

    recording: Recording
    released: list[str] = field(factory=list)
    _names: dict[str, int] = field(factory=dict)
    _folders: set[str] = field(factory=set)
    _data: dict[int, bytes] = field(factory=dict)
    _pending: list[Step] = field(factory=list)
    _later: Sequence[str] = ()

    def __attrs_post_init__(self) -> None:
        for number, (name, data) in enumerate(self.recording.before.items()):
            self._names[name] = number
            self._data[number] = data
        self._folders |= self.recording.folders
        self._later = [each.text for each in self.recording.steps if isinstance(each, Released)]

    def do(self, step: Step) -> None:
        """The program does something."""
        match step:
            case Released(text):
                self.released.append(text)
            case Synced(file):
                self._settle(lambda each: isinstance(each, Written | Cut) and each.file == file)
            case SyncedFolder(name):
                self._settle(lambda each: _folder_of(each) == name)
            case _:
                self._pending.append(step)

    def fates(self, rng: random.Random) -> list[tuple[str, Fate]]:
        """The fates of what is pending that are to be looked at: their names, and what they are."""
        count = len(self._pending)
        found: dict[Fate, str] = {}

        def add(how: str, fate: Sequence[tuple[int, int]]) -> None:
            found.setdefault(tuple(fate), how)

        every = [(place, WHOLE) for place in range(count)]
        add("none", [])
        add("all", every)
        places = range(count) if count <= MOST else sorted(rng.sample(range(count), MOST))
        for place in places:
            add(f"up to {place}", every[: place + 1])
            add(f"only {place}", [every[place]])
            add(f"not {place}", every[:place] + every[place + 1 :])
            if torn := self._torn(place, rng):
                add(f"up to {place}, torn", [*every[:place], torn])
                add(f"all, {place} torn", [*every[:place], torn, *every[place + 1 :]])
            if isinstance(self._pending[place], Written):
                add(f"all, {place} zeros", [*every[:place], (place, 0), *every[place + 1 :]])
        for number in range(RANDOM if count > 1 else 0):
            chosen = [each for each in every if rng.random() < rng.choice((0.2, 0.5, 0.8))]
            add(f"random {number}", [self._torn(p, rng) or (p, w) for p, w in chosen])
            add(f"random {number}, whole", chosen)
        return [(how, fate) for fate, how in found.items()]

    def after(self, how: str, fate: Fate) -> State:
        """The state in which the power cut leaves the disk."""
        names, folders = dict(self._names), set(self._folders)
        data: dict[int, bytearray] = {}

        def content(file: int) -> bytearray:
            if file not in data:
                data[file] = bytearray(self._data.get(file, b""))
            return data[file]

        for place, length in fate:
            match self._pending[place]:
                case Written(file, at, written):
                    _write(content(file), at, written, length)
                case Cut(file, size):
                    _cut(content(file), size)
                case named:
                    _name(names, folders, named)
        root = self.recording.root
        there = {
            str(Path(name).relative_to(root)): bytes(content(file))
            for name, file in names.items()
            if all(str(each) in folders for each in Path(name).parents if root in each.parents)
        }
        return State(there, tuple(self.released), self._later, how)

    def _torn(self, place: int, rng: random.Random) -> tuple[int, int] | None:
        step = self._pending[place]
        sectors = (len(step.data) - 1) // SECTOR if isinstance(step, Written) else 0
        return (place, rng.randint(1, sectors) * SECTOR) if sectors else None

    def _settle(self, certain: Callable[[Step], bool]) -> None:
        left: list[Step] = []
        grown: dict[int, bytearray] = {}
        for step in self._pending:
            if not certain(step):
                left.append(step)
            elif isinstance(step, Written | Cut):
                if step.file not in grown:
                    grown[step.file] = bytearray(self._data.get(step.file, b""))
                if isinstance(step, Written):
                    _write(grown[step.file], step.at, step.data, WHOLE)
                else:
                    _cut(grown[step.file], step.size)
            else:
                _name(self._names, self._folders, step)
        self._pending = left
        self._data |= {file: bytes(data) for file, data in grown.items()}


def states(recording: Recording, seed: int = 0, most: int | None = None) -> Iterator[State]:
    """The states that power cuts can leave at all moments of a recording.

    With `most` a sample of so many, chosen by `seed`.
    """
    every = list(_cuts(recording, seed))
    if most is not None and len(every) > most:
        chosen = sorted(random.Random(seed).sample(range(len(every)), most))
        every = [every[each] for each in chosen]
    disk, done = Disk(recording), 0
    for place, how, fate in every:
        for step in recording.steps[done:place]:
            disk.do(step)
        done = place
        yield disk.after(f"after step {place}: {how}", fate)


def _cuts(recording: Recording, seed: int) -> Iterator[tuple[int, str, Fate]]:
    """The power cuts: after how many steps, and which fate.

    Just before each sync and at the end: what is pending only grows between two syncs, so every
    state of the moments between is among those of the last one, when most had been released.
    """
    disk, rng = Disk(recording), random.Random(seed)
    for place, step in enumerate(recording.steps):
        if isinstance(step, Synced | SyncedFolder):
            for how, fate in disk.fates(rng):
                yield place, how, fate
        disk.do(step)
    for how, fate in disk.fates(rng):
        yield len(recording.steps), how, fate


def _folder_of(step: Step) -> str | None:
    match step:
        case Made(name) | MadeFolder(name) | Removed(name) | Renamed(name=name):
            return str(Path(name).parent)
    return None


def _name(names: dict[str, int], folders: set[str], step: Step) -> None:
    match step:
        case Made(name, file):
            names[name] = file
        case Renamed(old, name, file):
            names.pop(old, None)
            names[name] = file
        case Removed(name):
            names.pop(name, None)
        case MadeFolder(name):
            folders.add(name)


def _write(content: bytearray, at: int, data: bytes, length: int) -> None:
    """Write `length` bytes of it, or all; the file has grown for all of it in any case."""
    end = at + len(data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if length == WHOLE:
        content[at:end] = data
    else:
        content[at : at + length] = data[:length]


def _cut(content: bytearray, size: int) -> None:
    if size < len(content):
        del content[size:]
    else:
        content.extend(bytes(size - len(content)))
