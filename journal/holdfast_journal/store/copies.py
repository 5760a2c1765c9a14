"""A copy of an SQLite database beside it, whole or not at all."""

import errno
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from holdfast_journal.errors import DatabaseUnusable
from holdfast_journal.files import sync_directory

_MOST = 100
"""The most copies made in one second."""


def keep_copy(path: Path, revision: str, now: float) -> Path:
    """Copy the database at `path`, as it was last committed; return where the copy is.

    It is called `<path>.<revision>-<date>-<time>.copy` (UTC), is private to its owner, is on disk
    before this returns, and never takes another file's place. For one caller at a time, which sees
    to it that no process writes meanwhile. Raises DatabaseUnusable; then at most a file
    `<path>.<revision>.part` is left, which the next attempt begins anew.
    """
    draft = path.with_name(f"{path.name}.{revision}.part")
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    wanted = path.with_name(f"{path.name}.{revision}-{stamp}.copy")
    try:
        # SQLite writes into an empty file of ours, so the copy is private from the beginning.
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("VACUUM INTO ?", [str(draft)])
        _sync(draft)
        copy = _link(draft, wanted)
        draft.unlink()
        sync_directory(path)
    except (OSError, sqlite3.Error) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise DatabaseUnusable(
            f"the database {path} was made by an older Holdfast, and no copy can be kept of it"
            f" before it is upgraded: {said}; nothing was changed"
        ) from error
    return copy


def _link(draft: Path, wanted: Path) -> Path:
    for number in range(2, _MOST):
        try:
            os.link(draft, wanted)
        except FileExistsError:
            wanted = wanted.with_name(f"{wanted.name.partition('.copy')[0]}.copy-{number}")
        else:
            return wanted
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(wanted))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
