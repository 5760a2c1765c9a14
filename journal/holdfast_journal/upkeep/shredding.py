"""Deleting what finished flows kept, so that it is gone from the disk too.

SQLite overwrites what is deleted in its file with zeros (secure_delete), but the write-ahead log
still holds the old pages until it is overwritten. So it is emptied after shredding, unless another
connection is reading at that moment; then it is emptied the next time.
"""

import sqlite3
from contextlib import closing
from typing import Any, Final

from sqlalchemy import delete, select, update
from sqlalchemy.engine import Connection

from holdfast_journal.commits import messages
from holdfast_journal.store.database import Database
from holdfast_journal.store.many import CHUNK
from holdfast_journal.store.schema import flows, tasks

NOTHING_LEFT: Final = {
    "data_key": None,
    "params": None,
    "checkpoint": None,
    "published": None,
    "shred_at": None,
}
"""What a flow's row keeps of its secrets once it is shredded."""


def shred_due(database: Database, now: float) -> int:
    """Shred the finished flows whose time has come; return how many. Raises DatabaseUnusable."""
    # Not ordered by id: then the database would not use the small index, but read all flows.
    query = select(flows.c.id).where(flows.c.shred_at <= now).limit(CHUNK)
    query = database.dialect.locked(query, skip=True)
    with database.reading() as connection:
        if connection.scalar(select(flows.c.id).where(flows.c.shred_at <= now).limit(1)) is None:
            return 0
    shredded = 0
    while True:
        with database.writing() as connection:
            ids = list(connection.scalars(query))
            shred(connection, ids)
        if not ids:
            return shredded
        shredded += len(ids)


def shred(connection: Connection, ids: list[int]) -> None:
    """Delete what these flows keep, except for the outline of their history."""
    if ids:
        # Detached tasks are sealed under another key, and are still to be done.
        connection.execute(delete(tasks).where(tasks.c.flow_id.in_(ids), tasks.c.number > 0))
        messages.drop(connection, ids)
        connection.execute(update(flows).where(flows.c.id.in_(ids)).values(**NOTHING_LEFT))


def empty_log(database: Database) -> bool:
    """Empty SQLite's write-ahead log, without waiting; False if another connection reads it.

    If the log is empty already, this only looks at the file. Raises DatabaseUnusable.
    """
    if database.path is None:
        return True
    log = database.path.with_name(database.path.name + "-wal")
    try:
        if not log.stat().st_size:
            return True
    except FileNotFoundError:
        return True
    # A separate connection: in one of the pool, its short timeout would stay.
    with database.explaining_errors(), closing(_raw(database)) as connection:
        busy: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return not busy


def _raw(database: Database) -> Any:
    connection = sqlite3.connect(str(database.path), timeout=0, isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    return connection
