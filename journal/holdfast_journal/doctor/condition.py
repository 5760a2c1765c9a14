"""What is quickly known of a database in use: its revision, its keys, its size and its disk.

`health` opens a database for that, and reads all of its file; this is for a process that has it
open, and asks often.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen
from sqlalchemy import text

from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.store.database import Database
from holdfast_journal.store.place import log_of
from holdfast_journal.store.schema import REVISIONS
from holdfast_journal.store.upgrading import revision
from holdfast_journal.upkeep.rotating import KeyUse, key_uses


@frozen
class Condition:
    """What was found. Sizes in bytes."""

    database: str
    """The URL for people, its password hidden."""
    revision: str | None
    """The migration that the database is at."""
    needed: str
    """The migration that this release works with."""
    keys: Sequence[KeyUse]
    """The master keys that are here or needed, by their identifiers."""
    size: int
    """Of the database, with SQLite's write-ahead log."""
    free: int | None
    """On the disk of an SQLite file; None if that is not known, as for PostgreSQL."""
    total: int | None
    """As `free`: all of that disk."""

    @property
    def missing_keys(self) -> Sequence[str]:
        """Keys without which some flows cannot be read."""
        return [each.id for each in self.keys if not each.here]


def condition(database: Database, keys: KeyRing) -> Condition:
    """Look at a database that is open. Raises DatabaseUnusable."""
    free, total = _disk(database.path)
    keys.refresh()
    return Condition(
        database=database.name,
        revision=revision(database),
        needed=REVISIONS[-1],
        keys=key_uses(database, keys),
        size=_size(database),
        free=free,
        total=total,
    )


def _disk(path: Path | None) -> tuple[int | None, int | None]:
    """How much is free on the disk of a file, and how much there is."""
    if path is None:
        return None, None
    try:
        found = shutil.disk_usage(path.parent)
    except OSError:  # whatever is wrong there, others say what
        return None, None
    return found.free, found.total


def _size(database: Database) -> int:
    if database.path is not None:
        return sum(_length(each) for each in (database.path, log_of(database.path)))
    if database.in_memory:
        return 0
    query = "SELECT pg_database_size(current_database())"
    with database.reading() as connection:
        return int(connection.scalar(text(query)) or 0)


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # there is no log when nobody writes
        return 0
