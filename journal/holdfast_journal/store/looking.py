"""Looking at an SQLite database without leaving a trace.

If a database is in WAL mode, SQLite makes a log and an index of it beside it, even for a process
that only reads, and deletes them again if it can. A process that may not write the directory cannot
read at all. So there are three ways to look, by what is there:

- no log: no process has the database open, and all of it is in its file, which is read as one that
  does not change. A process that begins to write makes a log, which the next transaction reads too.
  If the log is taken into the file during a transaction, that is noticed, and reported.
- a log and its index: a process uses the database, or has died; a read-only connection reads it.
- a log without an index, which must have been copied with the database: a copy of both is read, in
  a directory of its own that is deleted afterwards. SQLite copies the database itself, so that no
  descriptor of it is opened here, and the log has no locks that closing it could drop.
"""

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Self
from urllib.parse import quote

from attrs import define

from holdfast_journal.errors import DatabaseAway, DatabaseUnusable
from holdfast_journal.store.place import log_of

BUSY_TIMEOUT = 30.0
"""Seconds that a reader waits for a lock that another process holds."""


@define
class LookedAt:
    """A database that is only looked at."""

    path: Path
    _reads: Path
    """The file that is read: the database itself, or its copy."""
    _still: tuple[int, ...] | None = None
    """What the file was like when we began, if no process may change it meanwhile."""
    _copy: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def of(cls, path: Path) -> Self:
        """Decide how to look at the database at `path`.

        Raises DatabaseUnusable, and DatabaseAway if a process begins or ends to use it meanwhile.
        """
        try:
            if not _has_log(path):
                return cls(path, path, still=_likeness(path))
            if _index_of(path).exists():
                return cls(path, path)
            return cls._of_copy(path)
        except FileNotFoundError as error:
            # The log, which was there a moment ago: the process that had it is done.
            raise _begun(path) from error
        except OSError as error:
            text = f"the database {path} cannot be used: {error.strerror or type(error).__name__}"
            raise DatabaseUnusable(text) from error
        except sqlite3.Error as error:
            raise DatabaseUnusable(f"the database {path} cannot be used: {error}") from error

    @classmethod
    def _of_copy(cls, path: Path) -> Self:
        """Copy a database and a log without an index. Raises as `of`, OSError, sqlite3.Error."""
        folder = tempfile.TemporaryDirectory(prefix="holdfast-")
        copy = Path(folder.name) / "copy"
        try:
            before = _likeness(path), _likeness(log_of(path))
            with closing(_open(path, "mode=ro&immutable=1")) as source:
                with closing(sqlite3.connect(copy)) as target:
                    source.backup(target)
            shutil.copyfile(log_of(path), log_of(copy))
            # A process that opens it makes an index first, and then writes.
            if _index_of(path).exists() or before != (_likeness(path), _likeness(log_of(path))):
                raise _begun(path)
        except BaseException:
            folder.cleanup()
            raise
        return cls(path, copy, copy=folder)

    def connect(self) -> sqlite3.Connection:
        """Open a connection that cannot write. Raises SQLite's errors."""
        if self._copy is not None:
            mode = "mode=rw"
        elif self._still is not None:
            mode = "mode=ro&immutable=1"
        else:
            mode = "mode=ro"
        return _open(self._reads, mode)

    def begins(self) -> bool:
        """Decide anew, before a transaction. Return whether to open everything again for it."""
        if self._still is None or not _has_log(self.path):
            return False
        self._still = None
        return True

    def check(self) -> None:
        """See that what was read is whole. Raises DatabaseAway if the file was written."""
        if self._still is None:
            return
        try:
            same = _likeness(self.path) == self._still
        except OSError:
            same = False
        if not same:
            raise _begun(self.path)

    def close(self) -> None:
        """Delete the copy, if one was made."""
        if self._copy is not None:
            self._copy.cleanup()


def _open(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path))}?{mode}",
        uri=True,
        timeout=BUSY_TIMEOUT,
        check_same_thread=False,
    )


def _begun(path: Path) -> DatabaseAway:
    why = "another process began to write it in this moment; try again"
    return DatabaseAway(f"the database {path} cannot be used: {why}", why)


def _index_of(path: Path) -> Path:
    return path.with_name(path.name + "-shm")


def _has_log(path: Path) -> bool:
    return log_of(path).exists()


def _likeness(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
