"""What a program wrote under one folder, and when it released what: recorded by strace.

The program says what it releases with `write` to the file that `MARKS` names, one line for each
thing, so that the kernel puts the line in its place between the other system calls.
"""

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import define, field, frozen

from tests.harness.process import environment
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

MARKS = "POWER_MARKS"

FIRST = ("openat", "?open", "?creat", "ftruncate", "fsync", "fdatasync")
WRITES = ("pwrite64", "pwritev", "write")
NAMES = ("?rename", "?renameat", "renameat2", "?unlink", "unlinkat", "?link", "linkat")
FOLDERS = ("?mkdir", "mkdirat", "lseek")
# What nobody does today; a recording that met one of them would not tell all.
UNKNOWN = (
    *("writev", "pwritev2", "fallocate", "copy_file_range", "?sendfile", "splice"),
    *("mmap", "?rmdir", "truncate", "?symlink", "symlinkat", "sync_file_range", "syncfs"),
)
VOLATILE = ("-shm", ".workers")
"""Files that mean nothing after a power cut: SQLite's index of its log, and the locks."""


@functools.cache
def can_trace() -> bool:
    """Whether strace is there and may do its work."""
    if shutil.which("strace") is None:
        return False
    done = subprocess.run(
        ["strace", "-f", "--seccomp-bpf", "-qq", "-o", os.devnull, "true"],
        check=False,
        capture_output=True,
    )
    return done.returncode == 0


@frozen
class Recording:
    """What was under a folder, and what a program did there.

    Args:
        root: the folder.
        before: the files that were there, by name; numbered in this order.
        folders: the directories.
        steps: what was done, in the order in which it was.
    """

    root: Path
    before: Mapping[str, bytes] = field(repr=False)
    folders: frozenset[str] = field(repr=False)
    steps: Sequence[Step] = field(repr=False)


def record(root: Path, program: Sequence[str | Path], **env: str) -> Recording:
    """Run a program, in `root`, to its end; return what it did to the files under `root`.

    Nobody else may change anything there meanwhile. Raises AssertionError if the program fails.
    """
    root = root.resolve()
    trace, marks = root.parent / f"{root.name}.trace", root.parent / f"{root.name}.marks"
    parser = Parser(str(root), str(marks))
    there = sorted(root.rglob("*"))
    before = {str(each): each.read_bytes() for each in there if each.is_file()}
    parser.look_around(before)
    wanted = ",".join((*FIRST, *WRITES, *NAMES, *FOLDERS, *(f"?{n.lstrip('?')}" for n in UNKNOWN)))
    # Whole buffers, in hexadecimal; only the calls that are wanted stop the program.
    options = [
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-y",
        "-xx",
        "-s",
        "100000000",
        "-e",
        f"trace={wanted}",
    ]
    done = subprocess.run(
        ["strace", *options, "-e", "signal=none", "-o", trace, *program],
        check=False,
        cwd=root,
        env=environment(**{MARKS: str(marks), "PYTHONPATH": _path()} | env),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with trace.open() as lines:
        steps = list(parser.steps(lines))
    trace.unlink()
    folders = frozenset(str(each) for each in (root, *there) if str(each) not in before)
    return Recording(root, before, folders, steps)


def _path() -> str:
    """Where the program finds this package, which is not installed."""
    ours = str(Path(__file__).parents[2])
    return os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), ours)))


def python(module: str, *arguments: str | Path) -> list[str | Path]:
    """The words that run one of our modules in another directory."""
    return [sys.executable, "-m", module, *arguments]


_LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)", re.DOTALL)
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FOLDED = re.compile(r"<((?:\\x[0-9a-f]{2})+)>")


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


@define
class Parser:
    """Turns lines of strace into steps."""

    root: str
    marks: str
    _files: dict[str, int] = field(factory=dict)
    """What has which name now, as the kernel sees it."""
    _open: dict[int, tuple[int, int, bool]] = field(factory=dict)
    """Descriptors: the file, the place in it, and whether it is written at its end."""
    _sizes: dict[int, int] = field(factory=dict)
    _begun: dict[str, str] = field(factory=dict)
    """The arguments of calls that have not returned, by thread."""

    def look_around(self, before: Mapping[str, bytes]) -> None:
        """Number what is there at the beginning."""
        for name, data in before.items():
            self._sizes[self._number(name)] = len(data)

    def steps(self, lines: Iterator[str]) -> Iterator[Step]:
        """The steps, in the order in which they happened."""
        for line in lines:
            found = _LINE.match(line)
            if found is None:
                continue  # the end of a thread
            thread, resumed, name, rest = found.groups()
            if rest.rstrip().endswith("<unfinished ...>"):
                self._begun[thread] = rest.rstrip().removesuffix("<unfinished ...>")
                # What it writes may be on the disk before it returns; what it syncs may not.
                # Only one thread writes to any of these files, so its return is early enough.
                continue
            if resumed:
                name, rest = resumed, self._begun.pop(thread) + rest
            arguments, _, answer = rest.rpartition(" = ")
            if answer.startswith(("-", "?")):
                continue  # it failed
            yield from self._step(name, arguments, answer)

    def _step(self, name: str, arguments: str, answer: str) -> Iterator[Step]:
        if name in ("openat", "open", "creat"):
            yield from self._opened(name, arguments, int(answer.split("<")[0]))
        elif name in WRITES:
            yield from self._written(name, arguments, int(answer))
        elif name == "lseek":
            if (where := self._known(arguments)) is not None:
                number, (file, _, at_end) = where
                self._open[number] = (file, int(answer), at_end)
        elif name == "ftruncate":
            if (where := self._known(arguments)) is not None:
                size = int(arguments.rpartition(",")[2].strip(" )"))
                self._sizes[where[1][0]] = size
                yield Cut(where[1][0], size)
        elif name in ("fsync", "fdatasync"):
            path = self._path(arguments)
            if (where := self._known(arguments)) is not None:
                yield Synced(where[1][0])
            elif path is not None and Path(path).is_relative_to(self.root):
                yield SyncedFolder(path)
        elif name in ("mkdir", "mkdirat"):
            (path,) = self._names(arguments)
            if self._ours(path):
                yield MadeFolder(path)
        elif name.startswith(("rename", "link")):
            old, new = self._names(arguments)
            if self._ours(old) or self._ours(new):
                yield self._named(name, old, new)
        elif name.startswith("unlink"):
            (path,) = self._names(arguments)
            if self._ours(path):
                del self._files[path]
                yield Removed(path)
        else:
            self._understood(name, arguments)

    def _opened(self, name: str, arguments: str, number: int) -> Iterator[Step]:
        (path,) = self._names(arguments)
        self._open.pop(number, None)
        if not self._ours(path):
            return
        if path not in self._files:
            if "O_CREAT" not in arguments and name != "creat":
                return  # a directory
            yield Made(path, self._number(path))
        file = self._files[path]
        if ("O_TRUNC" in arguments or name == "creat") and self._sizes.get(file):
            self._sizes[file] = 0
            yield Cut(file, 0)
        self._open[number] = (file, 0, "O_APPEND" in arguments)

    def _written(self, name: str, arguments: str, count: int) -> Iterator[Step]:
        if self._path(arguments) == self.marks:
            yield from map(Released, self._data(arguments, count).decode().splitlines())
        elif (where := self._known(arguments)) is not None:
            number, (file, at, at_end) = where
            if name != "write":
                place = int(arguments.rpartition(",")[2].strip(" )"))
            else:
                place = self._sizes.get(file, 0) if at_end else at
                self._open[number] = (file, place + count, at_end)
            self._sizes[file] = max(self._sizes.get(file, 0), place + count)
            yield Written(file, place, self._data(arguments, count))

    def _named(self, name: str, old: str, new: str) -> Step:
        assert Path(old).parent == Path(new).parent, "from one directory to another: not modelled"
        file = self._files[old]
        if name.startswith("rename"):
            del self._files[old]
        self._files[new] = file
        return Renamed(old, new, file) if name.startswith("rename") else Made(new, file)

    def _understood(self, name: str, arguments: str) -> None:
        path = self._path(arguments) or ""
        if name == "mmap" and not ("PROT_WRITE" in arguments and "MAP_SHARED" in arguments):
            return
        assert not self._ours(path), f"{name} of {path}: not modelled"

    def _known(self, arguments: str) -> tuple[int, tuple[int, int, bool]] | None:
        """The descriptor that a call is about, if it is a file of ours."""
        path = self._path(arguments)
        if path is None or not self._ours(path.removesuffix(" (deleted)")):
            return None
        number = int(arguments.partition("<")[0])
        return (number, self._open[number]) if number in self._open else None

    def _ours(self, path: str) -> bool:
        return path.startswith(f"{self.root}/") and not path.endswith(VOLATILE)

    def _names(self, arguments: str) -> list[str]:
        found = [os.fsdecode(_bytes(each)) for each in _STRING.findall(arguments)]
        return [os.path.normpath(Path(self.root, each)) for each in found]

    def _path(self, arguments: str) -> str | None:
        found = _FOLDED.search(arguments)
        return None if found is None else os.fsdecode(_bytes(found[1]))

    def _data(self, arguments: str, count: int) -> bytes:
        pieces = arguments.split('"')[1::2]  # one, or one for each place in memory
        return b"".join(map(_bytes, pieces))[:count]

    def _number(self, path: str) -> int:
        self._files[path] = number = len(self._sizes)
        self._sizes[number] = 0
        return number
