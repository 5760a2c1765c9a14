"""Where an SQLite database is, and whether it is still there.

As soon as a process closes any descriptor of a file, POSIX drops every lock that it has on that
file, and SQLite holds its write-ahead log by such locks. So nothing here ever opens a file that may
be a database: what has to be known is asked of its name, with `stat`.

A database is one file under one name. SQLite names its log after that name, and we do the same with
the key and the locks of the workers. Two names for one file would give it two logs, each with
commits that the other lacks. Symbolic links are followed; other names are refused.
"""

import os
import sqlite3
import stat
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Self, TypeAlias

from attrs import define

from holdfast_journal.errors import DatabaseMoved, DatabaseUnusable
from holdfast_journal.files import sync_directory

OTHER_NAME = 5.0
"""Seconds for which a new opener waits for a process with the file open under another name."""

_Identity: TypeAlias = tuple[int, int]
"""Device and inode."""

# A new file is made, and its descriptor closed, before any other thread of ours lets SQLite open
# it: otherwise closing it would drop that thread's locks.
_making = threading.Lock()


def log_of(path: Path) -> Path:
    """Where SQLite keeps the write-ahead log of the database at `path`."""
    return path.with_name(path.name + "-wal")


def find(path: Path, *, make: bool, make_parents: bool = False) -> Path:
    """The file that `path` leads to, through symbolic links; made if it is missing and may be.

    A file is made private to its owner, and SQLite gives its log the same mode; with
    `make_parents` missing directories above it are made too, as private.
    Raises DatabaseUnusable.
    """
    try:
        real = Path(os.path.realpath(path))
        if make and make_parents:
            _make_folder(real.parent)
        with _making:
            try:
                found = real.stat()
            except FileNotFoundError:
                if not make:
                    raise DatabaseUnusable(f"there is no database {path}") from None
                os.close(os.open(real, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
                found = real.stat()
    except FileExistsError:
        return find(path, make=make)  # another process has just made it
    except OSError as error:
        reason = error.strerror or type(error).__name__
        if isinstance(error, FileNotFoundError):
            reason = f"the directory {path.parent} does not exist"
        raise _unusable(path, reason) from error
    if stat.S_ISDIR(found.st_mode):
        raise _unusable(path, "it is a directory")
    if not stat.S_ISREG(found.st_mode):
        raise _unusable(path, "it is not a file")
    if found.st_nlink > 1:
        raise _unusable(
            path,
            f"the file has {found.st_nlink} names (hard links), and SQLite would keep a log for"
            " each; remove the others, or copy the file with cp and use the copy",
        )
    if not os.access(real, os.R_OK | (os.W_OK if make else 0)):
        raise _unusable(path, "Permission denied" if _is_writable(real) else "it is read-only")
    return real


def refuse_another_name(path: Path) -> None:
    """Refuse a file that a process has open under another name, such as that of a bind mount.

    A process that has it open under this name has a log beside it. If there is no log, we can lock
    the whole file for a moment, unless a process has it open elsewhere. Raises DatabaseUnusable.
    """
    until = time.monotonic() + OTHER_NAME
    while path.stat().st_size and not log_of(path).exists():
        try:
            with closing(sqlite3.connect(path, timeout=0.0, isolation_level=None)) as connection:
                connection.execute("PRAGMA locking_mode=EXCLUSIVE")
                connection.execute("BEGIN EXCLUSIVE")
                connection.execute("COMMIT")
                return
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                return  # opening it will raise a better error
        if time.monotonic() > until:
            raise _unusable(
                path,
                "a process has this file open under another name (a bind mount, or a directory"
                " that was renamed); use one name for it everywhere",
            )
        time.sleep(0.05)


@define
class Place:
    """The place of a database that is open."""

    path: Path
    _log_path: Path
    _given: Path
    _file: _Identity
    _log: _Identity

    @classmethod
    def of(cls, path: Path, given: Path) -> Self:
        """The place of the database at `path`, which a connection has open and has read.

        `given` is the path that others know, perhaps that of a symbolic link to `path`.
        Raises DatabaseMoved.
        """
        log_path = log_of(path)
        file, log = _identity(path), _identity(log_path)
        if file is None or log is None:
            raise DatabaseMoved(f"the database {path} went away while it was opened")
        return cls(path, log_path, given, file, log)

    def check(self) -> None:
        """See that the file and its log are still those that were opened. Raises DatabaseMoved.

        If a file has no name any more, what is written to it is gone when the process ends.
        """
        found = _identity(self.path)
        if found != self._file:
            what = "moved away or deleted" if found is None else "replaced by another file"
            raise DatabaseMoved(
                f"the database {self.path} was {what} while it was in use; put it back, with its"
                " write-ahead log (-wal), while no process uses it, and start again"
            )
        if self._given != self.path and _identity(self._given) != self._file:
            raise DatabaseMoved(
                f"the symbolic link {self._given} was led away from the database {self.path} while"
                " that was in use; start again to use what it leads to now"
            )
        found = _identity(self._log_path)
        if found != self._log:
            what = "deleted" if found is None else "replaced"
            raise DatabaseMoved(
                f"the write-ahead log of the database {self.path} was {what} while it was in use,"
                " and what was committed last may be lost; stop every process that uses it, and"
                " run 'holdfast doctor' before you start again"
            )


def _identity(path: Path) -> _Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _unusable(path: Path, why: str) -> DatabaseUnusable:
    return DatabaseUnusable(f"the database {path} cannot be used: {why}")


def _is_writable(path: Path) -> bool:
    """Whether its file system is."""
    return not os.statvfs(path).f_flag & os.ST_RDONLY


def _make_folder(folder: Path) -> None:
    """Make a directory and what is missing above it, each private, and on disk.

    Without that a power cut could take the directory, and with it what was committed there.
    """
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_directory(folder)
