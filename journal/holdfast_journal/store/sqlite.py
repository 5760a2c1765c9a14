"""SQLite: one file, its log, and one writer at a time."""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen
from sqlalchemy import (
    ColumnElement,
    Table,
    Text,
    bindparam,
    event,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.engine import URL, Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool, StaticPool

from holdfast_journal.store.looking import LookedAt
from holdfast_journal.store.many import Query
from holdfast_journal.store.trouble import RESTORE

BUSY_TIMEOUT = 30.0
"""Seconds that a transaction waits for a lock that another process holds."""

TRY: Final = 0.008
"""Seconds after which a transaction that is to write begins to wait anew. SQLite tries at ever
longer intervals, up to a tenth of a second; so often between two transactions of a process that
makes one after the other, it would not get its turn. In so short a time it tries every 5 ms."""

WRITES = "holdfast_writes"
"""The option of a connection that says which transactions it begins; None: it begins none."""

_WAITS: Final = "holdfast_waits"
"""How long SQLite waits for a lock, among what is remembered of a driver's connection."""


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
        # From here on we begin transactions ourselves; the driver would begin them too late.
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
        _wait_for(connection, TRY if writes else BUSY_TIMEOUT)
        if writes:
            _begin_writing(connection)
        elif writes is not None:
            _execute(connection, "BEGIN")

    return engine


def _wait_for(connection: Connection, seconds: float) -> None:
    """Have SQLite wait so long for a lock, from now on."""
    if connection.info.get(_WAITS, BUSY_TIMEOUT) != seconds:
        _execute(connection, f"PRAGMA busy_timeout={seconds * 1000:.0f}")
        connection.info[_WAITS] = seconds


def _begin_writing(connection: Connection) -> None:
    until = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            _execute(connection, "BEGIN IMMEDIATE")
        except DBAPIError as error:
            code = getattr(error.orig, "sqlite_errorcode", 0)
            if code & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
        else:
            return


def _execute(
    connection: Connection, text: str, rows: Sequence[tuple[Any, ...]] | None = None
) -> int:
    """Execute a text by the driver itself, once or for each row; return how many rows changed.

    SQLAlchemy would take longer for this than SQLite does. Raises SQLAlchemy's errors.
    """
    driver: Any = connection.connection.dbapi_connection
    try:
        cursor = driver.execute(text) if rows is None else driver.executemany(text, rows)
    except sqlite3.Error as error:
        raise DBAPIError.instance(text, None, error, sqlite3.Error, hide_parameters=True) from error
    changed: int = cursor.rowcount
    return changed


def looking_engine(url: URL, looked_at: LookedAt) -> Engine:
    """Open a database only to look at it: every connection is read-only."""
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
    """Switch to WAL, which is a property of the file and stays after the first time.

    If two processes open a new file in the same moment, both try, and SQLite answers the loser
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


@frozen(eq=False)
class SqliteDialect:
    """See `dialect.Dialect`. One transaction writes at a time, and needs no locks of its own."""

    many_writers = False
    under_way = 0
    place = "?"
    has_clock = False

    def locked(
        self,
        query: Query,
        *,
        of: Table | None = None,
        skip: bool = False,
        share: bool = False,
        key: bool = False,
    ) -> Query:
        """Nothing to do: no other transaction writes meanwhile."""
        return query

    def lock_table(self, connection: Connection, table: Table) -> None:
        """Nothing to do: no other transaction writes meanwhile."""

    def lock_upgrades(self, connection: Connection) -> None:
        """Nothing to do: no other transaction writes meanwhile."""

    def begin_snapshot(self, connection: Connection) -> None:
        """Every transaction is like that."""

    def among(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """By a JSON list, of which SQLite makes a table."""
        each = func.json_each(bindparam(name, type_=Text)).table_valued("value", name="each")
        return column.in_(select(each.c.value))

    def globs(self, column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
        """GLOB, in which a bracket means something else."""
        return column.op("GLOB", is_comparison=True)(pattern.replace("[", "[[]"))

    def listed(self, values: Iterable[object] | None) -> object:
        """A JSON list."""
        return None if values is None else json.dumps(list(values))

    def written(
        self, connection: Connection, pieces: Iterable[tuple[str, list[tuple[Any, ...]]]]
    ) -> int:
        """Each text once, with all its lists."""
        return sum(_execute(connection, text, rows) for text, rows in pieces)

    def at_once(self, most: int) -> int:
        """As many as SQLite takes."""
        return most

    def update_of(self, template: str, columns: Mapping[str, str], count: int) -> str:
        """By CASE: rows would go through a temporary table, and take twice the time."""
        places = [
            {name: f"?{row * len(columns) + number}" for number, name in enumerate(columns, 1)}
            for row in range(count)
        ]
        chosen = {
            name: "CASE id {} END".format(
                " ".join(f"WHEN {each['id']} THEN {each[name]}" for each in places)
            )
            for name in columns
        }
        ids = "IN ({})".format(", ".join(each["id"] for each in places))
        return template.format(values="", ids=ids, **chosen)

    def are_among(self, columns: Mapping[str, str], count: int) -> str:
        """By OR: for IN (VALUES ...) it would read the whole table."""
        one = " AND ".join(f"{name} = ?" for name in columns)
        return " OR ".join([f"({one})"] * count)

    def clock(self, now: float) -> ColumnElement[Any]:
        """Our machine's: a file is used on one."""
        return literal(now)

    def refuse_unfit(self, engine: Engine, name: str, *, looks: bool) -> None:
        """A file that opens will do."""

    def rewrite_log(self, engine: Engine) -> None:
        """Bring the log into the file, as far as no reader still needs it."""
        with engine.connect() as connection:
            outside = connection.execution_options(**{WRITES: None})
            outside.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def quick_check(self, connection: Connection, most: int) -> Sequence[str]:
        """Its own check, without the order of the indexes; and the foreign keys."""
        found = list(connection.scalars(text(f"PRAGMA quick_check({most})")))
        lost = connection.execute(text("PRAGMA foreign_key_check")).all()
        said = [] if found == ["ok"] else [str(line) for line in found]
        return [*said, *(f"a row of {row[0]} belongs to no row of {row[2]}" for row in lost[:most])]

    def integrity(self, connection: Connection, most: int) -> Iterator[tuple[str, str]]:
        """Its own check, of everything."""
        for line in connection.scalars(text(f"PRAGMA integrity_check({most})")):
            if line != "ok":
                yield f"SQLite's own check says: {str(line).splitlines()[0][:300]}", RESTORE
