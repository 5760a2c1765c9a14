"""Where something that arrives is written, so that it appears whole under its name or not at all.

Until it is whole it is in a hidden part file of our own in the directory where it is to appear; a
folder is received as its archive, and unpacked into a hidden folder beside it. A process may die
anywhere: the next one opens the same landing and calls the same function again.

While a landing is open no other process can open the same one. Everything here blocks, and is meant
for a thread.
"""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holdfast.transfer.errors import LandingError as LandingError
from holdfast.transfer.errors import OutOfSpace as OutOfSpace
from holdfast.transfer.errors import TargetExists as TargetExists
from holdfast.transfer.errors import landing_words
from holdfast.transfer.hidden import Hidden, Kind, hidden_names
from holdfast.transfer.names import LONGEST_NAME, check_name, fitting, numbered, shown
from holdfast.transfer.placing import (
    DIRECTORY,
    rename_new,
    set_usual_mode,
    sync_directory,
    sync_file,
    sync_tree,
)
from holdfast.transfer.pulse import Pulse, Stop
from holdfast.transfer.space import check_space as check_space
from holdfast.transfer.space import in_units as in_units
from holdfast.transfer.unpacking import Bounds, unpack

if TYPE_CHECKING:
    from hashlib import _Hash

ROOM: Final = 128 * 1024
"""Bytes that are read at once for a digest."""

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

MOST_KEPT: Final = 1000
"""Names that are tried for what is kept after a failure."""


class Landing:
    """A place for one file or folder that arrives.

    Look at `landed` first: what a process that died had finished is not begun again, and then only
    `discard` and `close` may be called. After `finish_file`, `unpacked` or `keep`, call `discard`
    as soon as it is written down that they are done: until then something hidden stays, by which
    the next process knows of it.

    `write`, `truncate`, `hasher` and `sync` let the system's own OSError out, because who
    writes may wait for room; `errors.in_words` says it for people. All others raise `LandingError`.

    Args:
        directory: where it is to appear. It stays the same one if it is moved or swapped.
        name: under which it is to appear: one component. `names.safe_name` makes one.
        key: names the landing among others in the directory, for instance the flow's id: 1 to 64
            letters and digits.

    Raises:
        LandingError: there is no such directory, nothing can be written there, or another process
            has this landing.
        BadName: `name` is not a name in a directory.
    """

    def __init__(self, directory: Path, name: str, key: str) -> None:
        check_name(name)
        self.directory, self.name = directory, name
        self._part = -1
        self._position = 0
        self._became: str | None = None
        with contextlib.ExitStack() as undo:
            with landing_words(directory / name):
                self._directory = os.open(directory, DIRECTORY)
                undo.callback(os.close, self._directory)
                self._hidden = Hidden(self._directory, key)
                found = self._hidden.became()
                self._became, self._is_kept = found or (None, False)
                if self._became is None:
                    self._part = self._hidden.open_part()
                    self._position = self.size
            undo.pop_all()

    @property
    def target(self) -> Path:
        """The path under which it is to appear."""
        return self.directory / self.name

    @property
    def landed(self) -> Path | None:
        """The path if it is finished or kept already, by this process or one that died."""
        return None if self._became is None else self.directory / self._became

    @property
    def is_kept(self) -> bool:
        """Whether `landed` is not what was to arrive, but what is kept of it after a failure."""
        return self._is_kept

    @property
    def size(self) -> int:
        """Bytes that are there, or that are kept."""
        if self._part < 0 and self._is_kept and self.landed is not None:
            with contextlib.suppress(FileNotFoundError):  # its user has moved it
                return self.landed.stat().st_size
            return 0
        return os.fstat(self._part).st_size

    def check_free(self) -> None:
        """Find out whether the name is free, before anything is accepted.

        Raises:
            TargetExists: it is not; the words propose another.
        """
        with landing_words(self.target), contextlib.suppress(FileNotFoundError):
            os.stat(self.name, dir_fd=self._directory, follow_symlinks=False)
            raise self._taken()

    def truncate(self, offset: int) -> None:
        """Forget what is behind `offset`, and go on writing there. Raises OSError."""
        if offset > self.size:
            raise OSError(errno.EINVAL, "less is there")
        os.ftruncate(self._part, offset)
        self._position = offset

    def hasher(self, length: int, *, stop: Stop | None = None) -> "_Hash":
        """Return a SHA-256 object that has the first `length` bytes.

        Raises:
            OSError: they cannot be read, or are not there.
            Stopped: as asked.
        """
        return _hasher(self._part, length, Pulse(stop=stop))

    def digest(self, length: int, *, stop: Stop | None = None) -> str:
        """Return the SHA-256 of what has `landed`, which came as `length` bytes.

        Returns:
            "" if this cannot be found out any more: its user may have changed it already.

        Raises:
            OSError: it cannot be read.
            Stopped: as asked.
        """
        # The archive of a folder is kept until `discard`.
        for name in (self._hidden.part, self._became or self.name):
            try:
                found = os.open(name, _READ, dir_fd=self._directory)
            except FileNotFoundError:
                continue
            try:
                same = stat.S_ISREG(os.fstat(found).st_mode) and os.fstat(found).st_size == length
                return _hasher(found, length, Pulse(stop=stop)).hexdigest() if same else ""
            finally:
                os.close(found)
        return ""

    def write(self, views: Sequence[memoryview]) -> None:
        """Write all `views`, one behind the other, behind what was written before.

        Raises:
            OSError: they cannot be written; the same ones may be written again.
        """
        offset, rest = self._position, list(views)
        while rest:
            count = os.pwritev(self._part, rest, offset)
            offset += count
            while rest and count >= len(rest[0]):
                count -= len(rest.pop(0))
            if count:
                rest[0] = rest[0][count:]
        self._position = offset

    def begin_sync(self, length: int) -> None:
        """Let the system begin to make durable the last `length` bytes that were written.

        It does not wait, so that a later `sync` hardly does either. Only a hint: no error is told.
        """
        if hasattr(os, "posix_fadvise"):  # Linux begins to write then; macOS does not have it
            start = self._position - length
            with contextlib.suppress(OSError):
                os.posix_fadvise(self._part, start, length, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """Make durable what was written. Raises OSError."""
        sync_file(self._part)

    def finish_file(self, *, overwrite: bool = False) -> Path:
        """Give the file its name, durably.

        Args:
            overwrite: replace a file that has the name already.

        Raises:
            TargetExists: something else has the name; the part stays.
            LandingError: it cannot be done; the part stays.
        """
        if self._became is None:
            with landing_words(self.target):
                self._finish_part(self.name, overwrite=overwrite)
        return self.directory / (self._became or self.name)

    def unpacked(
        self,
        *,
        files: int,
        total: int,
        progress: Callable[[int], None] | None = None,
        stop: Stop | None = None,
    ) -> Path:
        """Unpack the archive, and give the folder its name, durably. Nothing is ever replaced.

        Args:
            files: how many were offered.
            total: bytes of them that were offered.
            progress: called with the bytes unpacked so far, at most every 0.25 s.
            stop: set to give up.

        Raises:
            BadArchive: it is damaged, or holds something else than was offered; the part stays.
            TargetExists: something has the name; the part stays.
            LandingError: it cannot be done; the part stays.
            Stopped: as asked.
        """
        if self._became is None:
            self.check_free()
            with landing_words(self.target):
                self.sync()
                try:
                    self._unpack(Bounds(files, total), Pulse(progress, stop))
                finally:
                    if self._became is None:
                        self._hidden.remove_folder()
        return self.directory / (self._became or self.name)

    def keep(self, suffix: str = ".part") -> Path:
        """Give what was received a name that can be seen, after a failure: `NAME.part`.

        Raises:
            LandingError: it cannot be done; the part stays as it is.
        """
        name = first = fitting(self.name, LONGEST_NAME - len(suffix.encode())) + suffix
        with landing_words(self.directory / name):
            for number in range(2, MOST_KEPT):
                if self._became is not None:
                    break
                try:
                    self._finish_part(name, "kept")
                except TargetExists:
                    name = numbered(first, number)
        if self._became is None:
            raise self._taken()
        return self.directory / self._became

    def discard(self) -> None:
        """Remove what is hidden, and close the landing. What has its name stays.

        Raises:
            LandingError: it cannot be removed.
        """
        try:
            with landing_words(self.target):
                self._hidden.remove()
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the landing, which stays as it is."""
        for each in (self._part, self._directory):
            if each >= 0:
                os.close(each)
        self._part = self._directory = -1

    def _finish_part(self, name: str, kind: Kind = "file", *, overwrite: bool = False) -> None:
        self.sync()
        set_usual_mode(self._part, 0o666)
        self._place(kind, name, overwrite=overwrite)

    def _unpack(self, bounds: Bounds, pulse: Pulse) -> None:
        folder = self._hidden.make_folder()
        try:
            unpack(self._part, folder, bounds, pulse)
            set_usual_mode(folder, 0o777)
            sync_tree(folder)
        finally:
            os.close(folder)
        self._place("folder", self.name)

    def _place(self, kind: Kind, name: str, *, overwrite: bool = False) -> None:
        """Rename, so that the next process knows of it. Raises LandingError and OSError."""
        if not os.path.samestat(self.directory.stat(), os.fstat(self._directory)):
            raise LandingError(
                f"{shown(str(self.directory))} is not the directory any more in which this began."
                " Put that one back."
            )
        self._hidden.mark(kind, name)
        hidden = self._hidden.folder if kind == "folder" else self._hidden.part
        try:
            if overwrite:
                os.rename(hidden, name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
            else:
                rename_new(self._directory, hidden, name)
        except (FileExistsError, IsADirectoryError) as error:
            self._hidden.unmark()
            raise self._taken() from error
        self._became, self._is_kept = name, kind == "kept"
        sync_directory(self._directory)

    def _taken(self) -> TargetExists:
        free = shown(free_name(self.directory, self.name))
        return TargetExists(
            f"There is something called {shown(self.name)} already. Choose another name, such as"
            f" {free}."
        )


def _hasher(file: int, length: int, pulse: Pulse) -> "_Hash":
    hasher, offset = hashlib.sha256(), 0
    room = memoryview(bytearray(min(ROOM, length)))
    while offset < length:
        pulse.beat()
        count = os.preadv(file, [room[: length - offset]], offset)
        if not count:
            raise OSError(errno.EINVAL, "less is there")
        hasher.update(room[:count])
        offset += count
    return hasher


def has_left_something(directory: Path, key: str) -> bool:
    """Whether anything hidden of this landing is in the directory, without making anything."""
    return any(os.path.lexists(directory / name) for name in hidden_names(key))


def free_name(directory: Path, name: str) -> str:
    """Return `name`, or if something in the directory has it, one with a number that is free."""
    number, free = 1, name
    while os.path.lexists(directory / free):
        number += 1
        free = numbered(name, number)
    return free
