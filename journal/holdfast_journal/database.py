"""Reaching a database: URLs, connections, transactions, and which errors mean what.

One `Database` is one URL opened. Transactions are begun here and nowhere else:

- SQLite: WAL, synchronous=FULL, and BEGIN IMMEDIATE for whatever writes. A transaction that reads
  first and then wants to write can fail at once under WAL, busy timeout or not; one that takes the
  write lock at its start waits for its turn instead.
- PostgreSQL: READ COMMITTED. What must not race is fenced by row locks, epochs and unique keys.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from enum import Enum
from pathlib import Path
from typing import Any, Self

from attrs import define, field
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, create_engine, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    InvalidRequestError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool, StaticPool

from holdfast_journal import place
from holdfast_journal.errors import DatabaseAway, DatabaseUnusable
from holdfast_journal.looking import LookedAt
from holdfast_journal.place import Place
from holdfast_journal.servers import refuse_encoding, refuse_unfit

BUSY_TIMEOUT = 30.0
"""Seconds that a transaction waits for a lock that another process holds."""

_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""A PostgreSQL server that vanished without a word is noticed in a minute, not in two hours."""

_WRITES = "holdfast_writes"
"""The option of a connection that says which transactions it begins; None: it begins none."""


class Trouble(Enum):
    """What a database error means for the transaction that met it."""

    PASSING = "passing"  # locked, full, connection lost: the same transaction may yet succeed
    REFUSED = "refused"  # the statements themselves: trying again changes nothing
    BROKEN = "broken"  # the disk: what was written before may be gone too


# Errors of the disk that say at once that nothing was written: a quota, a limit, no memory. (A full
# disk has a code of its own.) What failed fsync, or was not read back, is another matter.
_NOTHING_WRITTEN = frozenset(
    {
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_SHMOPEN,
        sqlite3.SQLITE_IOERR_SHMSIZE,
        sqlite3.SQLITE_IOERR_NOMEM,
    }
)


# What a server's answer asks of its operator, by SQLSTATE.
_REMEDIES = {
    "42501": "grant the role what it lacks, or let the owner of the tables do this",
    "42P01": "a table is missing: restore a backup, or look at the role's search_path",
    "42703": "a column is missing: restore a backup, or look at the role's search_path",
    "3F000": "create the schema, or look at the role's search_path",
    "25006": "connect to the primary server, as a role that may write",
    "22021": "the database must have the encoding UTF8",
    "22P05": "the database must have the encoding UTF8",
    "26000": "a pooler seems to be between: connect to PostgreSQL itself",
    "42P05": "a pooler seems to be between: connect to PostgreSQL itself",
    "08P01": "a pooler seems to be between: connect to PostgreSQL itself",
    "53300": "raise max_connections, or end some connections",
    "57P03": "wait until the server has started",
}


_UNIQUE = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)


def trouble(error: SQLAlchemyError) -> Trouble:
    """Say what `error` means."""
    if isinstance(error, PoolTimeout):
        return Trouble.PASSING  # every connection waits for an answer
    if not isinstance(error, DBAPIError):
        return Trouble.REFUSED
    code = getattr(error.orig, "sqlite_errorcode", None)
    if isinstance(code, int):
        if code in _NOTHING_WRITTEN:
            return Trouble.PASSING
        primary = code & 0xFF
        if primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return Trouble.BROKEN
        if primary in (
            sqlite3.SQLITE_BUSY,
            sqlite3.SQLITE_LOCKED,
            sqlite3.SQLITE_FULL,
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_NOMEM,
            sqlite3.SQLITE_READONLY,
        ):
            return Trouble.PASSING
        return Trouble.REFUSED
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(state, str):
        # Connection, rollback, resources, locks, shutdown, system; and a server that became a
        # standby (25006); and a transaction that was ended while we were paused in it (25P03).
        # https://www.postgresql.org/docs/current/errcodes-appendix.html
        passing = state[:2] in ("08", "40", "53", "55", "57", "58") or state in ("25006", "25P03")
        return Trouble.PASSING if passing else Trouble.REFUSED
    if isinstance(error.orig, sqlite3.Error) and "disk I/O error" in str(error.orig):
        return Trouble.BROKEN
    if error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError)):
        return Trouble.PASSING
    return Trouble.REFUSED


def parse_url(url: str) -> URL:
    """Read a database URL; only SQLite files, SQLite in memory and PostgreSQL are served.

    Raises DatabaseUnusable. The message never repeats the URL: it may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise DatabaseUnusable(
            "this is not a database URL; it looks like sqlite:////path/to/file.db"
            " or postgresql://user@host/database"
        ) from None
    match parsed.drivername:
        case "sqlite" | "sqlite+pysqlite":
            if (parsed.database or "").startswith("file:"):
                raise DatabaseUnusable("SQLite's file: URIs are not served; use sqlite:///path")
            if parsed.host or parsed.username or parsed.port or parsed.query:
                raise DatabaseUnusable(
                    "the URL of an SQLite database has a path and nothing else: sqlite:///path"
                )
            if "\0" in (parsed.database or ""):
                raise DatabaseUnusable("the path of a database cannot hold a NUL")
            return parsed.set(drivername="sqlite+pysqlite")
        case "postgresql" | "postgres" | "postgresql+psycopg":
            return parsed.set(drivername="postgresql+psycopg")
        case other:
            raise DatabaseUnusable(
                f"databases of the kind {other[:50]!r} are not served; use sqlite or postgresql"
            )


@define
class Database:
    """An open database. Safe to use from several threads."""

    engine: Engine
    path: Path | None
    """The SQLite file, absolute; None for PostgreSQL and for a database in memory."""
    in_memory: bool
    given_path: Path | None = None
    """The path of the SQLite file as it was given: perhaps that of a symbolic link to it."""
    _place: Place | LookedAt | None = field(default=None, repr=False)
    """What sees to it that an SQLite file is still the one that was opened."""
    _anchor: Any = field(default=None, repr=False)
    """A connection that is open for as long as this is, so that SQLite keeps the log."""
    # One writer at a time in this process: fair, where SQLite's busy handler polls. A database in
    # memory has one connection, so its readers take turns too.
    _turn: threading.RLock = field(factory=threading.RLock, init=False, repr=False)
    _broken: DBAPIError | None = field(default=None, init=False, repr=False)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        make_parents: bool = False,
        writes: bool = True,
        pause: float = 30.0,
        looks: bool = False,
    ) -> Self:
        """Open `url`; a missing SQLite file is made, private to its owner.

        With `make_parents` missing directories above it are made too, as private. Unless `writes`
        it need not be possible to write it now: the disk may be full, or somebody hold a lock.
        Who only `looks` cannot write, and makes and changes nothing; see `looking`.
        A server ends our transactions if we fall silent in one for `pause` seconds.
        Raises DatabaseUnusable.
        """
        parsed = parse_url(url)
        if parsed.get_backend_name() == "postgresql":
            database = cls(_postgresql(parsed, pause), None, False)
        elif not parsed.database or parsed.database == ":memory:":
            database = cls(_sqlite(parsed), None, True)
        else:
            given = Path(parsed.database).absolute()
            path = place.find(given, make=not looks, make_parents=make_parents)
            parsed = parsed.set(database=str(path))
            if looks:
                looked_at = LookedAt.of(path)
                database = cls(_looking(parsed, looked_at), path, False, given, looked_at)
            else:
                place.refuse_another_name(path)
                database = cls(_sqlite(parsed), path, False, given)
        try:
            if database.is_postgresql:
                with database.clearly():
                    refuse_unfit(database.engine, database.name, looks=looks)
            with database.writing() if writes and not looks else database.reading():
                pass
            if database.path is not None and not looks:
                with database.clearly():
                    database._anchor = database.engine.raw_connection()
                    database._anchor.detach()
                    # Reading is what takes SQLite's lock, until the connection is closed.
                    cursor = database._anchor.cursor()
                    cursor.execute("SELECT count(*) FROM sqlite_master").fetchone()
                    cursor.close()
                database._place = Place.of(database.path, database.given_path or database.path)
        except BaseException:
            database.close()
            raise
        return database

    @property
    def is_postgresql(self) -> bool:
        """Whether this is PostgreSQL (otherwise it is SQLite)."""
        return self.engine.dialect.name == "postgresql"

    @property
    def name(self) -> str:
        """The URL for people, its password hidden."""
        return _name(self.engine.url)

    @contextmanager
    def transaction(self, *, writes: bool) -> Iterator[Connection]:
        """One transaction, committed at the end unless an exception leaves the block.

        Raises SQLAlchemy's own errors, and DatabaseMoved. Once the disk has failed under one that
        writes, whoever began it, each that would write fails with that error.
        """
        if writes and self._broken is not None:
            raise self._broken
        if isinstance(self._place, LookedAt) and self._place.begins():
            self.engine.dispose()
        self.see_that_it_is_there()
        alone = not self.is_postgresql and (writes or self.in_memory)
        try:
            with self._turn if alone else nullcontext():
                with self.engine.connect().execution_options(**{_WRITES: writes}) as connection:
                    with connection.begin():
                        yield connection
            # Again, before anybody acts on what was read, or lets go what waited for a commit.
            self.see_that_it_is_there()
        except DBAPIError as error:
            if writes and trouble(error) is Trouble.BROKEN:
                self._broken = error
            raise

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """`transaction` for a caller who waits: errors of the database are DatabaseUnusable."""
        with self.clearly(), self.transaction(writes=True) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """As `writing`, for transactions that only read."""
        with self.clearly(), self.transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def clearly(self) -> Iterator[None]:
        """Raise DatabaseUnusable where the database's state explains an error of SQLAlchemy's."""
        try:
            yield
        except (DBAPIError, PoolTimeout, InvalidRequestError) as error:
            raise self._clear(error) from error
        except sqlite3.Error as error:  # of a connection of our own, beside SQLAlchemy's
            raise DatabaseUnusable(f"the database {self.name} cannot be used: {error}") from error
        except UnicodeDecodeError:
            # SQLite quotes in its errors what stands in a damaged file, and the driver stumbles.
            text = f"the database {self.name} cannot be used: its file is damaged"
            raise DatabaseUnusable(text) from None

    def see_that_it_is_there(self) -> None:
        """See that an SQLite file is still the one that was opened. Raises DatabaseMoved."""
        if self._place is not None:
            self._place.check()

    def settle(self) -> None:
        """Write anew what a process that is gone has left in SQLite's write-ahead log.

        If that process ended because an fsync failed, the log may be whole in the system's memory
        and have a hole on the disk, which would cost everything that is written behind it.
        Raises DatabaseUnusable.
        """
        if not self.is_postgresql:
            with self.clearly(), self.engine.connect() as connection:
                outside = connection.execution_options(**{_WRITES: None})
                outside.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        anchor, self._anchor = self._anchor, None
        if anchor is not None:
            anchor.close()
        if isinstance(self._place, LookedAt):
            self._place.close()

    def _clear(self, error: SQLAlchemyError) -> Exception:
        """One clear line for whatever the database says, except that a key is taken."""
        found = trouble(error)
        said = getattr(error, "orig", None)
        state = getattr(said, "sqlstate", None)
        if state == "23505" or getattr(said, "sqlite_errorcode", None) in _UNIQUE:
            return error  # somebody was quicker, and whoever asked knows what that means
        remedy = _REMEDIES.get(state or "")
        if found is Trouble.REFUSED and not isinstance(error, OperationalError) and not remedy:
            remedy = "is it as Holdfast made it? 'holdfast db check' and 'holdfast doctor' tell"
        why = reason(error) + (f"; {remedy}" if remedy else "")
        text = f"the database {self.name} cannot be used: {why}"
        return DatabaseAway(text, why) if found is Trouble.PASSING else DatabaseUnusable(text)


def reason(error: SQLAlchemyError) -> str:
    """What the driver said: its first line, since the others may quote values."""
    said = error.orig if isinstance(error, DBAPIError) else error
    lines = str(said).strip().splitlines()
    text = lines[0][:300] if lines else type(said).__name__
    # "disk I/O error" can be anything from a quota to a dying disk.
    name = getattr(said, "sqlite_errorname", "")
    if not name.startswith("SQLITE_IOERR_"):
        return text
    full = getattr(said, "sqlite_errorcode", None) in _NOTHING_WRITTEN
    return f"{text} ({name}{': the disk may be full, or a quota used up' if full else ''})"


def _name(url: URL) -> str:
    """The URL for people, its password hidden."""
    plain = url.set(drivername=url.get_backend_name())
    return plain.render_as_string(hide_password=True)


def _postgresql(url: URL, pause: float) -> Engine:
    try:
        engine = create_engine(
            url,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={
                "connect_timeout": 15,
                "application_name": "holdfast",
                "tcp_user_timeout": 60_000,
                **_KEEPALIVES,
            },
        )
        engine.dialect.create_connect_args(url)
    except (ArgumentError, ValueError, TypeError):
        raise DatabaseUnusable(
            "this is not the URL of a PostgreSQL database; it looks like"
            " postgresql://user@host/database"
        ) from None
    except ImportError as error:
        raise DatabaseUnusable(
            "PostgreSQL needs one more package: pip install 'holdfast[postgres]'"
        ) from error

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, _record: object, arguments: Any, named: Any) -> Any:
        connection = dialect.connect(*arguments, **named)
        refuse_encoding(connection, _name(url))
        return connection

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # A lock that does not clear is then an error that can be told, and not a silence.
        connection.execute(f"SET lock_timeout = {BUSY_TIMEOUT * 1000:.0f}")
        # Whoever is paused in a transaction must not keep its flows locked from those who go on.
        connection.execute(f"SET idle_in_transaction_session_timeout = {pause * 1000:.0f}")
        connection.commit()

    @event.listens_for(engine, "do_executemany")
    def one_by_one(cursor: Any, statement: str, parameters: Any, _context: object) -> bool:
        # The driver would send all of them before it asks for an answer, and the server does not
        # call it idle when whoever is paused between two of them keeps it waiting.
        for each in parameters:
            cursor.execute(statement, each)
        return True

    return engine


def _sqlite(url: URL) -> Engine:
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
        writes = connection.get_execution_options().get(_WRITES, True)
        if writes is not None:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _looking(url: URL, looked_at: LookedAt) -> Engine:
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
