"""Telling which workers are gone, at once and without a clock.

A worker holds a lock of the operating system, or of the PostgreSQL server, for as long as it
lives. Whatever ends it ends the lock, kill -9 included, so its flows can be taken over the moment
it is gone. (This is not what makes the takeover safe: the epoch is. And one that is paused holds
its lock still: for that there are leases, in `workers`.)
"""

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from attrs import define, field
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from holdfast_journal.errors import AlreadyServed, DatabaseUnusable
from holdfast_journal.store.database import Database


class Locks(Protocol):
    """One lock for each worker, named by its id."""

    def hold(self, worker: int) -> None:
        """Take the lock of this process's own new worker, until `drop` or death."""
        ...

    def keep(self) -> bool:
        """Take the held lock again if a lost connection lost it; False if it may have been free."""
        ...

    def serve(self) -> None:
        """Be the service of this database until `drop` or death, where there can be only one.

        Raises AlreadyServed.
        """
        ...

    def drop(self) -> None:
        """Give up what is held."""
        ...

    def is_alive(self, worker: int) -> bool:
        """Whether somebody holds the lock of `worker`."""
        ...


@define
class Alone:
    """For a database in memory: nobody else can be there."""

    _held: int | None = None

    def hold(self, worker: int) -> None:
        """Remember who we are."""
        self._held = worker

    def keep(self) -> bool:
        """Nothing can be lost."""
        return True

    def serve(self) -> None:
        """Nobody else can."""

    def drop(self) -> None:
        """Forget who we are."""
        self._held = None

    def is_alive(self, worker: int) -> bool:
        """Only we are."""
        return worker == self._held


@define
class _LockFile:
    """A file whose bytes are locks, open once in this process.

    POSIX drops all locks that a process has on a file when it closes any descriptor of that
    file, and never refuses a process its own lock. So there is one descriptor, and what this
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


LOOKS_LAST = 5.0
"""Seconds for which whoever looks at a lock may have it."""

_SERVICE = 0
"""The byte that the one service locks; the ids of workers begin with 1."""


@define
class FileLocks:
    """For an SQLite file: byte `id` of the file `<database>.workers` is locked.

    What is written in that file is the process id of the service, for people.
    Who only `looks` never makes the file, and need not be able to write it.
    """

    path: Path
    looks: bool = False
    _see_database: Callable[[], object] = lambda: None
    """Raises DatabaseMoved if the database that `path` is beside is another now."""
    _worker: int | None = None
    _held_in: _LockFile | None = None
    _serves: bool = False

    def hold(self, worker: int) -> None:
        """Lock our byte, waiting out a reader who is just looking, but not for long.

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
        numbers are other workers.
        """
        with _files_lock:
            lost, worker = self._held_in, self._worker
            if lost is None or worker is None or _identity(self.path) == lost.key:
                return True
            self._see_database()
            file = self._file()
            # Whoever looked at our byte meanwhile has taken us for dead; we come again if one does
            # just now.
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
        """Try to share the lock: readers who look at the same time do not disturb each other.

        Raises DatabaseUnusable.
        """
        with _files_lock:
            try:
                file = self._file()
            except FileNotFoundError:
                return False  # no worker has ever been here, or the file was not copied
            except PermissionError:
                return True  # somebody else's; the lease will tell
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
        """Raises FileNotFoundError and PermissionError for who only looks, or DatabaseUnusable."""
        try:
            # Asked by name first: opening it a second time, and closing that, would drop our locks.
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
    """Let the owner of `database` use the file, if it was root who made it."""
    owner = database.stat()
    found = os.fstat(descriptor)
    if found.st_uid == os.geteuid() == 0 != owner.st_uid:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


# Both halves of the lock's number: which database schema's workers, and which of them.
_NUMBER = "(CAST(CAST('holdfast_workers' AS regclass) AS oid)::bigint << 32) + :worker"


@define
class AdvisoryLocks:
    """For PostgreSQL: a session advisory lock on a connection of its own."""

    _database: Database
    _worker: int | None = None
    _connection: Connection | None = None

    def hold(self, worker: int) -> None:
        """Lock our number on a connection that does nothing else."""
        self._worker = worker
        self._lock()

    def keep(self) -> bool:
        """Lock again if the connection is gone. Raises SQLAlchemy's errors."""
        if self._connection is not None:
            try:
                self._connection.execute(text("SELECT 1"))
                return True
            except DBAPIError:
                self._connection.close()
                self._connection = None
        if self._worker is None:
            return True
        self._lock()
        return False

    def serve(self) -> None:
        """A server has room for any number."""

    def drop(self) -> None:
        """Unlock, and close the connection.

        Closing alone would free the lock too, but only once the server has noticed.
        """
        if self._connection is not None:
            # A connection that is gone has taken the lock with it.
            with contextlib.suppress(DBAPIError):
                statement = text(f"SELECT pg_advisory_unlock({_NUMBER})")
                self._connection.execute(statement, {"worker": self._worker})
            self._connection.close()
        self._worker = self._connection = None

    def _lock(self) -> None:
        connection = self._database.engine.connect()
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # from the pool, which would hand it to others
        try:
            # A machine that vanishes without a word is noticed in a minute, not in two hours.
            for setting in ("idle = 30", "interval = 10", "count = 3"):
                connection.execute(text(f"SET tcp_keepalives_{setting}"))
            statement = text(f"SELECT pg_try_advisory_lock({_NUMBER})")
            if connection.execute(statement, {"worker": self._worker}).scalar_one():
                self._connection = connection
        finally:
            if self._connection is not connection:
                # Our own lost session may not be noticed yet and hold it still: keep() comes again.
                connection.close()

    def is_alive(self, worker: int) -> bool:
        """Try to share the lock, for the length of a transaction."""
        with self._database.reading() as connection:
            statement = text(f"SELECT pg_try_advisory_xact_lock_shared({_NUMBER})")
            return not connection.execute(statement, {"worker": worker}).scalar_one()


def locks_for(database: Database, *, looks: bool = False) -> Locks:
    """The kind of lock that fits the database; who only `looks` never holds one."""
    if database.path is not None:
        path = database.path.with_name(database.path.name + ".workers")
        return FileLocks(path, looks, database.see_that_it_is_there)
    return Alone() if database.in_memory else AdvisoryLocks(database)
