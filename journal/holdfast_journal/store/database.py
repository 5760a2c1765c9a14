"""Reaching a database: URLs, connections, transactions, and which errors mean what.

One `Database` is one URL opened. Transactions are begun here and nowhere else:

- SQLite: WAL, synchronous=FULL, and BEGIN IMMEDIATE for every transaction that writes. Under WAL a
  transaction that reads first and then wants to write can fail at once, in spite of a busy timeout;
  one that takes the write lock at its start waits for its turn instead.
- PostgreSQL: READ COMMITTED. What must not race is fenced by row locks, epochs and unique keys.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final, Self

from attrs import define, field
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, InvalidRequestError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from holdfast_journal.errors import DatabaseAway, DatabaseUnusable
from holdfast_journal.store import place
from holdfast_journal.store.dialect import Dialect, dialect_of
from holdfast_journal.store.looking import LookedAt
from holdfast_journal.store.place import Place
from holdfast_journal.store.postgresql import postgresql_engine
from holdfast_journal.store.sqlite import WRITES, looking_engine, sqlite_engine
from holdfast_journal.store.trouble import REMEDIES, UNIQUE, ErrorKind, reason, trouble
from holdfast_journal.store.urls import Where, parse_url, shown

REST: Final = 0.006
"""Seconds between two of many transactions, in which whoever waits for SQLite's lock tries again;
see `sqlite.TRY`. A thread of this process needs some of that, too."""


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
    """Checks that an SQLite file is still the one that was opened."""
    _anchor: Any = field(default=None, repr=False)
    """A connection that is open for as long as this is, so that SQLite keeps a file's log."""
    _asking: threading.Lock = field(factory=threading.Lock, init=False, repr=False)
    """For whoever uses that."""
    _alike: tuple[int | None, int | None] = field(default=(None, None), init=False)
    """A version of the database, and an earlier one that counts as the same."""
    # One writer at a time in this process. This is fair, while SQLite's busy handler polls. A
    # database in memory has one connection, so its readers take turns too.
    _turn: threading.RLock = field(factory=threading.RLock, init=False, repr=False)
    # Whoever has the turn uses the same connection: to take one from the pool and to give it back
    # costs as much as a short transaction, and another one would have to read its pages again.
    _writer: Connection | None = field(default=None, init=False, repr=False)
    _broken: DBAPIError | None = field(default=None, init=False, repr=False)
    _rests_until: float = field(default=0.0, init=False, repr=False)
    """Of `time.monotonic()`; before that, `writing_in_turn` does not begin."""

    @classmethod
    def open(
        cls,
        url: Where,
        *,
        make_parents: bool = False,
        writes: bool = True,
        pause: float = 30.0,
        looks: bool = False,
    ) -> Self:
        """Open `url`; a missing SQLite file is made, private to its owner.

        With `make_parents`, missing directories above it are made too, also private. Without
        `writes`, it need not be writable now: the disk may be full, or another process may hold a
        lock. If it only `looks`, it cannot write, and makes and changes nothing; see `looking`.
        If we fall silent in a transaction for `pause` seconds, a server ends it.
        Raises DatabaseUnusable.
        """
        parsed = parse_url(url)
        if parsed.get_backend_name() == "postgresql":
            database = cls(postgresql_engine(parsed, pause), None, in_memory=False)
        elif not parsed.database or parsed.database == ":memory:":
            database = cls(sqlite_engine(parsed), None, in_memory=True)
        else:
            given = Path(parsed.database).absolute()
            path = place.find(given, make=not looks, make_parents=make_parents)
            parsed = parsed.set(database=str(path))
            if looks:
                looked_at = LookedAt.of(path)
                engine = looking_engine(parsed, looked_at)
                database = cls(engine, path, in_memory=False, given_path=given, place=looked_at)
            else:
                place.refuse_another_name(path)
                database = cls(sqlite_engine(parsed), path, in_memory=False, given_path=given)
        try:
            with database.explaining_errors():
                database.dialect.refuse_unfit(database.engine, database.name, looks=looks)
            with database.writing() if writes and not looks else database.reading():
                pass
            if database.in_memory:
                database._anchor = database.engine.raw_connection()
            if database.path is not None and not looks:
                with database.explaining_errors():
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
    def dialect(self) -> Dialect:
        """How to speak to it."""
        return dialect_of(self.engine)

    @property
    def name(self) -> str:
        """The URL for people, its password hidden."""
        return shown(self.engine.url)

    @contextmanager
    def transaction(self, *, writes: bool) -> Iterator[Connection]:
        """One transaction, committed at the end unless an exception leaves the block.

        Raises SQLAlchemy's own errors, and DatabaseMoved. Once the disk has failed during any
        transaction that writes, all later ones that would write fail with the same error.
        """
        if writes and self._broken is not None:
            raise self._broken
        if isinstance(self._place, LookedAt) and self._place.begins():
            self.engine.dispose()
        self.see_that_it_is_there()
        try:
            with self._connected(writes=writes) as connection, connection.begin():
                yield connection
            # Again, before the caller acts on what was read, or releases what waited for a commit.
            self.see_that_it_is_there()
        except DBAPIError as error:
            if writes and trouble(error) is ErrorKind.BROKEN:
                self._broken = error
            raise

    @contextmanager
    def _connected(self, *, writes: bool) -> Iterator[Connection]:
        """A connection, and the turn if one is needed."""
        alone = not self.dialect.many_writers
        if not writes or not alone:
            with self._turn if alone and self.in_memory else nullcontext():
                with self.engine.connect().execution_options(**{WRITES: writes}) as connection:
                    yield connection
            return
        with self._turn:
            if self._writer is None:
                self._writer = self.engine.connect().execution_options(**{WRITES: True})
            try:
                yield self._writer
            except BaseException:
                self._let_go_of_writer()
                raise

    def _let_go_of_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """`transaction` for a caller that waits: errors of the database are DatabaseUnusable."""
        with self.explaining_errors(), self.transaction(writes=True) as connection:
            yield connection

    @contextmanager
    def writing_in_turn(self) -> Iterator[Connection]:
        """As `writing`, for one of many transactions in a row: others get their turn in between."""
        if not self.dialect.many_writers and not self.in_memory:
            time.sleep(max(0.0, self._rests_until - time.monotonic()))
        try:
            with self.writing() as connection:
                yield connection
        finally:
            self._rests_until = time.monotonic() + REST

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """As `writing`, for transactions that only read."""
        with self.explaining_errors(), self.transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def explaining_errors(self) -> Iterator[None]:
        """Raise DatabaseUnusable if the database's state explains an error of SQLAlchemy's."""
        try:
            yield
        except (DBAPIError, PoolTimeout, InvalidRequestError) as error:
            raise self._clear(error) from error
        except sqlite3.Error as error:  # of a connection of our own, beside SQLAlchemy's
            raise DatabaseUnusable(f"the database {self.name} cannot be used: {error}") from error
        except UnicodeDecodeError:
            # SQLite's errors quote what is in a damaged file, which the driver cannot decode.
            text = f"the database {self.name} cannot be used: its file is damaged"
            raise DatabaseUnusable(text) from None

    def data_version(self) -> int | None:
        """A number that stays the same as long as nothing is committed; None if it is not known.

        Only SQLite has one, for a file that this process may write, or in memory. Raises
        DatabaseUnusable if the file is not there any more.
        """
        anchor = self._anchor
        driver = None if anchor is None else anchor.dbapi_connection
        if driver is None:
            return None
        if self.in_memory:  # whose only connection does not count what it commits itself
            return int(driver.total_changes)
        with self.explaining_errors(), self._asking:
            self.see_that_it_is_there()
            version = _changes_by_others(driver)
        now, before = self._alike
        return before if version == now else version

    @contextmanager
    def without_news(self) -> Iterator[None]:
        """What this block commits leaves `data_version` as it is, if nobody else commits meanwhile.

        For what nobody looks for.
        """
        with self._turn:
            # The writer's connection counts what others commit, and not what it commits itself.
            writer = None if self.path is None else self._writer
            others = None if writer is None else _changes_by_others(_driver_of(writer))
            before = None if others is None else self.data_version()
            yield
            if before is None or writer is not self._writer:
                return
            after = self.data_version()
            if others == _changes_by_others(_driver_of(writer)):
                self._alike = after, before

    def see_that_it_is_there(self) -> None:
        """See that an SQLite file is still the one that was opened. Raises DatabaseMoved."""
        if self._place is not None:
            self._place.check()

    def rewrite_log(self) -> None:
        """Write anew what a process that is gone has left in SQLite's write-ahead log.

        If that process ended because an fsync failed, the log may be whole in the system's memory
        but have a hole on the disk. Then everything that is written after the hole could be lost.
        Raises DatabaseUnusable.
        """
        with self.explaining_errors():
            self.dialect.rewrite_log(self.engine)

    def close(self) -> None:
        """Close every connection."""
        if self._turn.acquire(blocking=False):  # a writer that hangs is not waited for
            self._let_go_of_writer()
            self._turn.release()
        anchor, self._anchor = self._anchor, None
        if anchor is not None:
            anchor.close()
        self.engine.dispose()
        if isinstance(self._place, LookedAt):
            self._place.close()

    def _clear(self, error: SQLAlchemyError) -> Exception:
        """Return one clear line for what the database says, unless it says that a key is taken."""
        found = trouble(error)
        said = getattr(error, "orig", None)
        state = getattr(said, "sqlstate", None)
        if state == "23505" or getattr(said, "sqlite_errorcode", None) in UNIQUE:
            return error  # another process was quicker; the caller knows what that means
        remedy = REMEDIES.get(state or "")
        if found is ErrorKind.REFUSED and not isinstance(error, OperationalError) and not remedy:
            remedy = "is it as Holdfast made it? 'holdfast db check' and 'holdfast doctor' tell"
        why = reason(error) + (f"; {remedy}" if remedy else "")
        text = f"the database {self.name} cannot be used: {why}"
        return DatabaseAway(text, why) if found is ErrorKind.PASSING else DatabaseUnusable(text)


def _driver_of(connection: Connection | None) -> Any:
    return None if connection is None else connection.connection.dbapi_connection


def _changes_by_others(driver: Any) -> int | None:
    """A number that changes when another connection has committed."""
    try:
        [version] = driver.execute("PRAGMA data_version").fetchone()
    except sqlite3.Error:
        return None  # whoever asks for more finds out what is wrong
    return int(version)
