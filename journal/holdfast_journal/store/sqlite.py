"""SQLite: one file, its log, and one writer at a time."""

import sqlite3
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, create_engine
from sqlalchemy.pool import QueuePool, StaticPool

from holdfast_journal.store.looking import LookedAt

BUSY_TIMEOUT = 30.0
"""Seconds that a transaction waits for a lock that another process holds."""


WRITES = "holdfast_writes"
"""The option of a connection that says which transactions it begins; None: it begins none."""


def sqlite_engine(url: URL) -> Engine:
    """Open an SQLite file, or a database in memory, for reading and writing."""
    in_memory = not url.database or url.database == ":memory:"
    engine = create_engine(
        url,
        hide_parameters=True,
        poolclass=StaticPool if in_memory else QueuePool,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # From here on transactions are ours to begin; the driver would begin them too late.
        connection.isolation_level = None
        # A damaged text must not keep us from the rows around it.
        connection.text_factory = _text
        cursor = connection.cursor()
        _use_wal(cursor)
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA secure_delete=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, True)
        if writes is not None:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def looking_engine(url: URL, looked_at: LookedAt) -> Engine:
    """For who only looks: every connection is read-only."""
    engine = create_engine(url, hide_parameters=True, creator=looked_at.connect)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        connection.text_factory = _text

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "replace")


def _use_wal(cursor: sqlite3.Cursor) -> None:
    """Switch to WAL, which is a property of the file and is there for good after the first time.

    Two processes that open a new file in the same moment both try, and SQLite answers the loser
    "database is locked" without asking its busy handler. The write lock makes them take turns.
    """
    mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
    attempts = 100
    while mode not in ("wal", "memory"):
        attempts -= 1
        try:
            mode = cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or not attempts:
                raise
            # Waits, with the busy timeout, until the other has finished what it is doing.
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute("COMMIT")
        else:
            if mode not in ("wal", "memory"):
                raise sqlite3.OperationalError("its file system cannot do write-ahead logging")
