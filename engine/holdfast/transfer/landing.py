"""Where something that arrives is written, so that it appears whole under its name or not at all.

Until it is whole it is in a hidden part file of our own in the directory where it is to appear; a
folder is received as its archive, and unpacked into a hidden directory beside it (transit notes,
"Files and names" and "Directories"). A process may die anywhere: the next one opens the same
landing and calls the same function again.

While a landing is open no other process can open the same one. Everything here blocks, and is meant
for a thread.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holdfast.transfer.errors import LandingError as LandingError
from holdfast.transfer.errors import OutOfSpace as OutOfSpace
from holdfast.transfer.errors import TargetExists as TargetExists
from holdfast.transfer.errors import landing_words
from holdfast.transfer.names import LONGEST_NAME, BadName, fitting, numbered, shown
from holdfast.transfer.placing import (
    DIRECTORY,
    rename_new,
    sync_file,
    sync_tree,
    usual_mode,
)
from holdfast.transfer.pulse import Pulse, Stop
from holdfast.transfer.unpacking import Bounds, unpack

if TYPE_CHECKING:
    from hashlib import _Hash

ROOM: Final = 1024 * 1024
"""Bytes that are read at once for a digest."""

_KEY = re.compile(r"[0-9A-Za-z_]{1,64}")
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Landing:
    """A place for one file or folder that arrives.

    `landed` is to be asked first: what a process that died had finished is not begun again. After
    `finish_file`, `unpacked` or `keep`, call `discard` as soon as it is written down that they are
    done: until then a part of the landing stays, by which a second call knows of the first.

    `write`, `truncate`, `hasher` and `sync` let the system's own OSError out, because who writes
    may wait for room; `errors.in_words` says it for people. Everything else raises `LandingError`.

    Args:
        directory: where it is to appear.
        name: under which it is to appear: one component. `names.safe_name` makes one.
        key: names the landing among others in the directory, for instance the flow's id: 1 to 64
            letters and digits.

    Raises:
        LandingError: there is no such directory, nothing can be written there, or another process
            has this landing.
        BadName: `name` is not a name in a directory.
    """

    def __init__(self, directory: Path, name: str, key: str) -> None:
        if not _KEY.fullmatch(key):
            raise ValueError("a landing's key has 1 to 64 letters and digits")
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise BadName
        if len(os.fsencode(name)) > LONGEST_NAME:
            raise BadName("The name is too long. Choose a shorter one.")
        self.directory, self.name = directory, name
        self._hidden = f".holdfast-{key}"
        self._marker, self._folder = f"{self._hidden}.to", f"{self._hidden}.d"
        with contextlib.ExitStack() as undo:
            with landing_words(directory / name):
                self._directory = os.open(directory, DIRECTORY)
                undo.callback(os.close, self._directory)
                self._part = self._open_part()
            undo.pop_all()
        self._position = self.size

    @property
    def target(self) -> Path:
        """The path under which it is to appear."""
        return self.directory / self.name

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return os.fstat(self._part).st_size

    @property
    def landed(self) -> Path | None:
        """The path if it is finished or kept already, by this process or one that died."""
        return self._marked()

    def check_free(self) -> None:
        """Find out whether the name is free, before anything is accepted.

        Raises:
            TargetExists: it is not; the words propose another.
        """
        if self._exists(self.name) and self.landed is None:
            raise self._taken()

    def truncate(self, offset: int) -> None:
        """Forget what is behind `offset`, and go on writing there. Raises OSError."""
        if offset > self.size:
            raise OSError(errno.EINVAL, "less is there")
        os.ftruncate(self._part, offset)
        self._position = offset

    def hasher(self, length: int) -> "_Hash":
        """Return a SHA-256 object that has the first `length` bytes.

        Raises:
            OSError: they cannot be read, or are not there.
        """
        hasher, offset = hashlib.sha256(), 0
        room = memoryview(bytearray(min(ROOM, length)))
        while offset < length:
            count = os.preadv(self._part, [room[: length - offset]], offset)
            if not count:
                raise OSError(errno.EINVAL, "less is there")
            hasher.update(room[:count])
            offset += count
        return hasher

    def digest(self, length: int) -> str:
        """Return the SHA-256 of the first `length` bytes, in hexadecimal. Raises OSError."""
        return self.hasher(length).hexdigest()

    def write(self, view: memoryview) -> None:
        """Write all of `view` behind what was written before.

        Raises:
            OSError: it cannot be written; the same `view` may be written again.
        """
        offset = self._position
        while view:
            count = os.pwrite(self._part, view, offset)
            view = view[count:]
            offset += count
        self._position = offset

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
        if (done := self._marked()) is not None:
            return done
        with landing_words(self.target):
            self.sync()
            os.fchmod(self._part, usual_mode(0o666))
            self._place(self._hidden, self.name, os.fstat(self._part), overwrite=overwrite)
        return self.target

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
        if (done := self._marked()) is not None:
            return done
        self.check_free()
        with landing_words(self.target):
            self.sync()
            self._remove_folder()
            os.mkdir(self._folder, 0o700, dir_fd=self._directory)
            try:
                folder = os.open(self._folder, DIRECTORY | os.O_NOFOLLOW, dir_fd=self._directory)
                with _closing(folder):
                    unpack(self._part, folder, Bounds(files, total), Pulse(progress, stop))
                    os.fchmod(folder, usual_mode(0o777))
                    sync_tree(folder)
                    self._place(self._folder, self.name, os.fstat(folder))
            except BaseException:
                self._remove_folder()
                raise
        return self.target

    def keep(self, suffix: str = ".part") -> Path:
        """Give what was received a name that can be seen, after a failure: `NAME.part`.

        Raises:
            LandingError: it cannot be done; the part stays as it is.
        """
        if (done := self._marked()) is not None:
            return done
        name = fitting(self.name, LONGEST_NAME - len(suffix.encode())) + suffix
        with landing_words(self.directory / name):
            self.sync()
            os.fchmod(self._part, usual_mode(0o666))
            for number in range(2, 1000):
                try:
                    self._place(self._hidden, name, os.fstat(self._part))
                except TargetExists:
                    name = numbered(self.name + suffix, number)
                else:
                    return self.directory / name
        raise self._taken()

    def discard(self) -> None:
        """Remove what is hidden, and close the landing. What has its name stays.

        Raises:
            LandingError: it cannot be removed.
        """
        try:
            with landing_words(self.target):
                self._remove_folder()
                for each in (self._hidden, self._marker):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(each, dir_fd=self._directory)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the landing, which stays as it is."""
        for each in (self._part, self._directory):
            if each >= 0:
                os.close(each)
        self._part = self._directory = -1

    def _open_part(self) -> int:
        while True:
            try:
                part = os.open(self._hidden, _NEW, 0o600, dir_fd=self._directory)
            except FileExistsError:
                part = os.open(self._hidden, _OLD, dir_fd=self._directory)
            with contextlib.ExitStack() as undo:
                undo.callback(os.close, part)
                self._check_ours(part)
                try:
                    fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise LandingError(
                        f"Another process is receiving {shown(self.name)} already."
                    ) from error
                if self._is_at(part, self._hidden):
                    undo.pop_all()
                    return part

    def _check_ours(self, part: int) -> None:
        found = os.fstat(part)
        ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
        if not ours or found.st_nlink > 1:
            raise LandingError(
                f"{shown(str(self.directory / self._hidden))} is not a file that we made."
                " Remove it, or choose another directory."
            )

    def _is_at(self, file: int, name: str) -> bool:
        try:
            found = os.stat(name, dir_fd=self._directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(found, os.fstat(file))

    def _exists(self, name: str) -> bool:
        try:
            os.stat(name, dir_fd=self._directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _taken(self) -> TargetExists:
        number = 2
        while self._exists(numbered(self.name, number)):
            number += 1
        return TargetExists(
            f"There is something called {shown(self.name)} already. Choose another name, such as"
            f" {shown(numbered(self.name, number))}."
        )

    def _place(
        self, old: str, new: str, identity: os.stat_result, *, overwrite: bool = False
    ) -> None:
        """Rename, so that a second call knows of it. Raises TargetExists and OSError."""
        self._mark(new, identity)
        try:
            if overwrite:
                os.rename(old, new, src_dir_fd=self._directory, dst_dir_fd=self._directory)
            else:
                rename_new(self._directory, old, new)
        except (FileExistsError, IsADirectoryError) as error:
            raise self._taken() from error
        os.fsync(self._directory)

    def _mark(self, name: str, identity: os.stat_result) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._marker, dir_fd=self._directory)
        marker = os.open(self._marker, _NEW, 0o600, dir_fd=self._directory)
        with _closing(marker):
            os.write(marker, _identity(identity) + os.fsencode(name))
            os.fsync(marker)

    def _marked(self) -> Path | None:
        """Return the path to which the marker leads, if what is there is ours."""
        try:
            marker = os.open(self._marker, _OLD, dir_fd=self._directory)
        except FileNotFoundError:
            return None
        with _closing(marker):
            self._check_ours(marker)
            identity, _, name = os.read(marker, 1000).partition(b"\n")
        if not name or b"/" in name:
            return None
        try:
            found = os.stat(name, dir_fd=self._directory, follow_symlinks=False)
        except (FileNotFoundError, ValueError):
            return None
        return self.directory / os.fsdecode(name) if _identity(found) == identity + b"\n" else None

    def _remove_folder(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._folder, dir_fd=self._directory)


def _identity(found: os.stat_result) -> bytes:
    # Neither the device, whose number may change, nor the size and times of a folder, in which
    # somebody may be at work already.
    if stat.S_ISDIR(found.st_mode):
        return f"folder {found.st_ino}\n".encode()
    return f"file {found.st_ino} {found.st_size} {found.st_mtime_ns}\n".encode()


@contextlib.contextmanager
def _closing(file: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(file)


def free_name(directory: Path, name: str) -> str:
    """Return `name`, or if something in the directory has it, one with a number that is free."""
    number, free = 1, name
    while os.path.lexists(directory / free):
        number += 1
        free = numbered(name, number)
    return free


def check_space(directory: Path, needed: int) -> None:
    """Find out whether a directory's disk has room for `needed` bytes.

    A disk that says that it has no blocks at all, as ramfs does, does not know.

    Raises:
        OutOfSpace: it has not.
        LandingError: there is no such directory.
    """
    with landing_words(directory):
        found = os.statvfs(directory)
    free = found.f_bavail * found.f_frsize
    if found.f_blocks and free < needed:
        raise OutOfSpace(
            f"There is not enough room in {shown(str(directory))}: {in_units(needed)} are needed,"
            f" and {in_units(free)} are free. Make room, or choose another directory."
        )


def in_units(count: int) -> str:
    """Return a number of bytes as people say it, such as `1.4 GB`."""
    value, units = float(count), ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{count} bytes" if units[0] == "bytes" else f"{value:.3g} {units[0]}"
