"""Copies of the recorded databases, to be opened, upgraded and run."""

import json
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import frozen
from sqlalchemy import String, insert, text

from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import metadata
from holdfast_journal.store.upgrading import migrate
from tests.journal.recording import KEY, RECORDED, WANTED

RECORDINGS = sorted(path.name for path in RECORDED.iterdir() if path.is_dir())
ENVIRON = {"HOLDFAST_KEY": KEY}

__all__ = ["ENVIRON", "KEY", "RECORDINGS", "WANTED", "Recording"]

_TIMES = ("added", "updated", "server_rx")
"""The columns of a mailbox server's database that are times."""


@frozen
class Recording:
    """One release's recording."""

    name: str

    @property
    def peers(self) -> dict[str, Any]:
        """The serialized recipients, by name."""
        found: dict[str, Any] = json.loads((RECORDED / self.name / "peers.json").read_text())
        return found

    def copy(self, folder: Path) -> str:
        """Put the database and its key into a folder; return its URL."""
        for name in ("journal.sqlite", "journal.sqlite.key"):
            shutil.copy(RECORDED / self.name / name, folder)
        return f"sqlite:///{folder}/journal.sqlite"

    def copy_rows(self, url: str) -> None:
        """Make the release's schema in an empty database, and put the recorded rows into it."""
        database = Database.open(url)
        with database.writing() as connection:
            migrate(connection, self.name)
        path = RECORDED / self.name / "journal.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as recorded:
            recorded.row_factory = sqlite3.Row
            with database.writing() as connection:
                there = {name for (name,) in recorded.execute("SELECT name FROM sqlite_master")}
                for table in metadata.sorted_tables:
                    if table.name not in there:
                        continue  # of a later release
                    rows = [dict(row) for row in recorded.execute(f"SELECT * FROM {table.name}")]
                    for row in rows:
                        connection.execute(insert(table), row)
                    if database.dialect.many_writers and not isinstance(table.c.id.type, String):
                        _go_on_counting(connection, table)
        database.close()

    def restore_mailbox(self, path: Path) -> None:
        """Make the mailbox server's database as it was, but as if that were now."""
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript((RECORDED / self.name / "mailbox.sql").read_text())
            latest = connection.execute("SELECT max(updated) FROM mailboxes").fetchone()[0]
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (table,) in tables.fetchall():
                for _, column, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall():
                    if column in _TIMES:
                        shift = f"UPDATE {table} SET {column} = {column} + ?"
                        connection.execute(shift, [time.time() - latest])
            connection.commit()


def _go_on_counting(connection: Any, table: Any) -> None:
    """PostgreSQL numbers rows by a counter, which knows nothing of rows that brought a number."""
    connection.execute(
        text(
            f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'),"
            f" (SELECT coalesce(max(id), 1) FROM {table.name}))"
        )
    )
