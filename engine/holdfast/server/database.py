"""The server's SQLite file: the package makes it, and this module makes it durable."""

import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define

from holdfast.server.errors import DatabaseUnusable
from holdfast.server.watch_tables import TABLES

# The package, or `nameplates`, looks up rows by these columns, but the package's schema does not
# have indexes that begin with them: the cost of a command would grow with the number of waiting
# mailboxes. A stock server that opens the file later keeps these indexes up to date.
INDEXES = {
    "holdfast_claims": "nameplate_sides (nameplates_id, side)",
    "holdfast_claimants": "nameplate_sides (side)",
    "holdfast_nameplates": "nameplates (mailbox_id)",
    "holdfast_sizes": "nameplates (app_id, length(name), name)",
    "holdfast_ages": "mailboxes (updated)",
    "holdfast_sides": "mailbox_sides (mailbox_id, side)",
    "holdfast_messages": "messages (mailbox_id)",
}

# SQLite would check that nobody refers to a nameplate that goes by reading the sides of all: the
# column has no type, and is compared as a number, for which no index serves. So we do without such
# checks, and the sides go with their nameplate.
TRIGGERS = (
    """CREATE TRIGGER IF NOT EXISTS holdfast_released AFTER DELETE ON nameplates BEGIN
        DELETE FROM nameplate_sides WHERE nameplates_id = +OLD.id; END""",
)


@define
class MailboxDatabase:
    """An open database and the lock that keeps a second server off it."""

    connection: sqlite3.Connection
    lock: int
    path: Path

    def close(self) -> None:
        """Close the connection, then release the lock."""
        self.connection.close()
        os.close(self.lock)


def open_database(path: Path, create_or_upgrade: Callable[[str], Any]) -> MailboxDatabase:
    """Open or make the file at `path`, so that a committed message survives a power cut.

    `create_or_upgrade` is the package's function for that; it makes new files readable by their
    owner alone. Raises DatabaseUnusable.
    """
    try:
        # The lock belongs to the file, whichever path leads to it.
        path = Path(os.path.realpath(path))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_other_names(path)
        lock = _lock(path)
    except OSError as error:
        raise DatabaseUnusable(
            f"cannot use the database {path}: {error.strerror or error}"
        ) from error
    try:
        return MailboxDatabase(_open(path, create_or_upgrade), lock, path)
    except BaseException:
        os.close(lock)
        raise


def _refuse_other_names(path: Path) -> None:
    """Refuse hard links: each name would get a lock, and a log, of its own."""
    if path.exists() and path.stat().st_nlink > 1:
        raise DatabaseUnusable(
            f"cannot use the database {path}: the file has several names (hard links); remove the"
            " others, or copy the file with cp and use the copy"
        )


def _lock(path: Path) -> int:
    # A message reaches only the listeners of the process that stored it: with a second server
    # on the same file, peers would wait for each other until they reconnect. The kernel drops
    # the lock when its process ends, in whatever way. It is on a file of its own because SQLite
    # locks the database's.
    lock = os.open(
        path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
    )
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise DatabaseUnusable(
            f"cannot use the database {path}: another mailbox server is using it"
        ) from None
    return lock


def _open(path: Path, create_or_upgrade: Callable[[str], Any]) -> sqlite3.Connection:
    from wormhole_mailbox_server.database import DBError

    try:
        connection: sqlite3.Connection = create_or_upgrade(str(path))
    except (OSError, sqlite3.Error, DBError) as error:
        raise DatabaseUnusable(f"cannot use the database {path}: {_why(error)}") from error
    except TypeError as error:
        # What the package does with an empty version table.
        raise DatabaseUnusable(
            f"cannot use the database {path}: it is not a mailbox server's"
        ) from error
    try:
        # What the server tells a client is committed before. With the default rollback journal a
        # commit is four syncs of the disk, with a write-ahead log it is one.
        connection.execute("PRAGMA journal_mode=WAL").fetchone()
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=OFF")
        # Transactions begin and end only where `turn` says.
        connection.isolation_level = None
        # The package's own factory makes a dict of each row; it only looks up names.
        connection.row_factory = sqlite3.Row
        # Find out now, and not at the first client, whether the file can be written.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE version SET version=version")
        for name, columns in INDEXES.items():
            connection.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {columns}")
        for statement in TRIGGERS + TABLES:
            connection.execute(statement)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        connection.close()
        raise DatabaseUnusable(f"cannot use the database {path}: {_why(error)}") from error
    return connection


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # The package's text names the file again before SQLite's own words.
    return " ".join(str(error).split()).rpartition(": ")[2] or type(error).__name__
