"""`FileLocks`: the locks of workers beside an SQLite file, and the one of its service."""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from attrs import define, field

from holdfast_journal.errors import AlreadyServed, DatabaseUnusable

LOOKS_LAST = 5.0
"""Seconds for which a reader that looks at a lock may have it."""

_SERVICE = 0
"""The byte that the one service locks; the ids of workers begin with 1."""


def locks_of(database: Path) -> Path:
    """Where the locks of the workers of an SQLite file are."""
    return database.with_name(database.name + ".workers")


@define
class _LockFile:
    """A file whose bytes are locks, open once in this process.

    When a process closes any descriptor of a file, POSIX drops all locks that it has on that
    file; and it never refuses a process its own lock. So there is one descriptor, and what this
    process holds is remembered here.
    """

    key: tuple[int, int]
    descriptor: int
    held: set[int] = field(factory=set)

    def close_unused(self) -> None:
        if not self.held:
            os.close(self.descriptor)
            del _files[self.key]


_files: dict[tuple[int, int], _LockFile] = {}
_files_lock = threading.Lock()


@define
class FileLocks:
    """For an SQLite file: byte `id` of the file `<database>.workers` is locked.

    The file's text is the process id of the service, for people.
    If it only `looks`, it never makes the file, and need not be able to write it.
    """

    path: Path
    looks: bool = False
    _see_database: Callable[[], object] = lambda: None
    """Raises DatabaseMoved if another database is beside `path` now."""
    _worker: int | None = None
    _held_in: _LockFile | None = None
    _serves: bool = False

    def hold(self, worker: int) -> None:
        """Lock our byte, waiting for a reader that is just looking, but not for long.

        Raises DatabaseUnusable.
        """
        with _files_lock:
            file = self._file()
            until = time.monotonic() + LOOKS_LAST
            try:
                while not _try_lock(file.descriptor, fcntl.LOCK_EX, worker):
                    if time.monotonic() > until:
                        raise DatabaseUnusable(
                            f"another program keeps {self.path} locked; find it with"
                            f" 'fuser {self.path}', end it, and try again"
                        )
                    time.sleep(0.01)
            except BaseException:
                file.close_unused()
                raise
            file.held.add(worker)
            self._worker, self._held_in = worker, file

    def keep(self) -> bool:
        """Lock our bytes anew if the file was deleted or replaced: in the one that others see.

        Raises DatabaseUnusable, DatabaseMoved among them: beside another database the same
        numbers stand for other workers.
        """
        with _files_lock:
            lost, worker = self._held_in, self._worker
            if lost is None or worker is None or _identity(self.path) == lost.key:
                return True
            self._see_database()
            file = self._file()
            # A worker that looked at our byte meanwhile has taken us for dead. If one is looking
            # just now, we try again later.
            if not _try_lock(file.descriptor, fcntl.LOCK_EX, worker):
                file.close_unused()
                return False
            file.held.add(worker)
            ours = {worker}
            if self._serves:
                ours.add(_SERVICE)
                if _SERVICE not in file.held:
                    # If another service came meanwhile, there are two: each with its own flows.
                    self._serves = _try_lock(file.descriptor, fcntl.LOCK_EX, _SERVICE)
                    if self._serves:
                        file.held.add(_SERVICE)
                        _note_process(file.descriptor)
            self._held_in = file
            lost.held.difference_update(ours)
            lost.close_unused()
            return False

    def serve(self) -> None:
        """Lock the byte of the service, after `hold`. Raises AlreadyServed."""
        with _files_lock:
            file = self._held_in
            if file is None or self._serves:
                return
            if _SERVICE in file.held or not _try_lock(file.descriptor, fcntl.LOCK_EX, _SERVICE):
                process = os.pread(file.descriptor, 20, 0).decode("ascii", "replace").strip()
                raise AlreadyServed(
                    f"process {process if process.isdigit() else 'of another service'} serves"
                    f" {self.path.with_suffix('')} already, and an SQLite file has room for one:"
                    " stop that one first, or keep the journal in PostgreSQL, which serves many"
                )
            file.held.add(_SERVICE)
            self._serves = True
            _note_process(file.descriptor)

    def drop(self) -> None:
        """Unlock our bytes, and close the file if they were the last that this process held."""
        with _files_lock:
            if self._worker is not None and self._held_in is not None:
                ours = [self._worker, *([_SERVICE] if self._serves else [])]
                for byte in ours:
                    fcntl.lockf(self._held_in.descriptor, fcntl.LOCK_UN, 1, byte)
                self._held_in.held.difference_update(ours)
                self._held_in.close_unused()
            self._worker = self._held_in = None
            self._serves = False

    def is_alive(self, worker: int) -> bool:
        """Try to share the lock: readers that look at the same time do not disturb each other.

        Raises DatabaseUnusable.
        """
        with _files_lock:
            try:
                file = self._file()
            except FileNotFoundError:
                return False  # no worker has ever been here, or the file was not copied
            except PermissionError:
                return True  # another user's file; the lease will tell
            try:
                if worker in file.held:
                    return True
                if not _try_lock(file.descriptor, fcntl.LOCK_SH, worker):
                    return True
                fcntl.lockf(file.descriptor, fcntl.LOCK_UN, 1, worker)
                return False
            finally:
                file.close_unused()

    def is_anybody(self) -> bool:
        """Whether any worker lives that has this database open. Raises DatabaseUnusable."""
        with _files_lock:
            try:
                file = self._file()
            except (FileNotFoundError, PermissionError):
                return False
            try:
                if file.held or not _try_lock(file.descriptor, fcntl.LOCK_SH, 0, length=0):
                    return True
                fcntl.lockf(file.descriptor, fcntl.LOCK_UN, 0, 0)
                return False
            finally:
                file.close_unused()

    def _file(self) -> _LockFile:
        """Raises DatabaseUnusable; if it only looks, also FileNotFoundError, PermissionError."""
        try:
            # Asked by name first: opening and closing it a second time would drop our locks.
            with contextlib.suppress(FileNotFoundError):
                found = self.path.stat()
                if known := _files.get((found.st_dev, found.st_ino)):
                    return known
            how = os.O_RDONLY if self.looks else os.O_RDWR | os.O_CREAT
            descriptor = os.open(self.path, how | os.O_CLOEXEC, 0o600)
            if not self.looks:
                try:
                    _give_to_owner(descriptor, self.path.with_suffix(""))
                except BaseException:
                    os.close(descriptor)
                    raise
        except OSError as error:
            if self.looks and isinstance(error, FileNotFoundError | PermissionError):
                raise
            raise DatabaseUnusable(
                f"the file {self.path} cannot be used: {error.strerror}"
            ) from error
        found = os.fstat(descriptor)
        file = _LockFile((found.st_dev, found.st_ino), descriptor)
        _files[file.key] = file
        return file


def _try_lock(descriptor: int, how: int, byte: int, length: int = 1) -> bool:
    """Lock `length` bytes, or all from there on for 0."""
    try:
        fcntl.lockf(descriptor, how | fcntl.LOCK_NB, length, byte)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as the system likes
        return False
    return True


def _note_process(descriptor: int) -> None:
    os.pwrite(descriptor, f"{os.getpid()}".ljust(20).encode(), 0)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _give_to_owner(descriptor: int, database: Path) -> None:
    """Let the owner of `database` use the file, if root made it."""
    owner = database.stat()
    found = os.fstat(descriptor)
    if found.st_uid == os.geteuid() == 0 != owner.st_uid:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
