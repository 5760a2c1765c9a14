"""The database that outlives processes: SQLite in memory, begun anew from a template for each seed.

All lives of a world share it. Around every transaction time passes, if it is a thread's; and there
is where a process may die, or be told that the database does not answer.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from attrs import define, evolve, field
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.sql import SqlJournal
from holdfast_journal.store.database import Database
from tests.simulation.kernel import Actor, Kernel
from tests.simulation.threads import sleep

KEYS = KeyRing([bytes(range(32))])

LEDGER = """
CREATE TABLE sim_writes (
    id INTEGER PRIMARY KEY, flow TEXT NOT NULL, attempt INTEGER NOT NULL, what TEXT NOT NULL
)
"""
"""A table of the application's own. Nothing but the journal keeps a row from coming twice."""


@cache
def _template() -> tuple[Database, sqlite3.Connection]:
    journal = SqlJournal.open_inline("sqlite://", keys=KEYS, clock=lambda: 0.0)
    database = journal._database
    raw = _raw(database)
    raw.execute(LEDGER)
    empty = sqlite3.connect(":memory:")
    raw.backup(empty)
    return database, empty


def _raw(database: Database) -> Any:
    return database.engine.raw_connection().driver_connection


def error(name: str, words: str) -> OperationalError:
    """What SQLAlchemy raises for an error of SQLite's."""
    original = sqlite3.OperationalError(words)
    original.sqlite_errorname = name
    original.sqlite_errorcode = getattr(sqlite3, name)
    return OperationalError("", None, original)


@define(eq=False, repr=False)
class Faults:
    """What a world does to those who use its database; here: nothing."""

    def delay(self) -> float:
        """Seconds before a transaction begins, and after it is over."""
        return 0.0

    def before(self, actor: Actor, writes: bool) -> None:
        """A transaction is about to begin."""

    def answered(self, actor: Actor) -> None:
        """A transaction went well."""

    def before_commit(self, actor: Actor) -> None:
        """Everything was written, and nothing is durable yet."""

    def after_commit(self, actor: Actor) -> None:
        """It is durable, and nobody knows."""


@define(eq=False, repr=False)
class Storage(Database):
    """The database of one world."""

    kernel: Kernel = field(kw_only=True)
    faults: Faults = field(kw_only=True)
    on_commit: Callable[[], object] = field(kw_only=True)
    counts: bool = field(kw_only=True)
    """Whether it tells that something was committed, as SQLite does and PostgreSQL does not."""

    @classmethod
    def begin(
        cls, kernel: Kernel, faults: Faults, on_commit: Callable[[], object], *, counts: bool
    ) -> "Storage":
        """An empty journal."""
        database, empty = _template()
        empty.backup(_raw(database))
        return cls(
            database.engine,
            None,
            # Not called a database in memory: that would mean that nobody else can be there.
            in_memory=False,
            kernel=kernel,
            faults=faults,
            on_commit=on_commit,
            counts=counts,
        )

    def opened(self) -> "Storage":
        """The same database, as another process has it open."""
        return evolve(self)

    @property
    def raw(self) -> sqlite3.Connection:
        """The connection, to look at everything without anybody's noticing."""
        return _raw(self)

    def data_version(self) -> int | None:
        """It grows a little too often: also with what is taken back."""
        return int(self.raw.total_changes) if self.counts else None

    @contextmanager
    def transaction(self, *, writes: bool) -> Iterator[Connection]:
        actor = self.kernel.current
        if actor is None:
            with Database.transaction(self, writes=writes) as connection:
                yield connection
            if writes:
                self.on_commit()
            return
        if not actor.alive or actor.doomed:
            actor.die()
        sleep(self.faults.delay())
        self.faults.before(actor, writes)
        with Database.transaction(self, writes=writes) as connection:
            yield connection
            if not actor.alive or actor.doomed:
                actor.die()
            if writes:
                self.faults.before_commit(actor)
        self.faults.answered(actor)
        if writes:
            self.on_commit()
            self.faults.after_commit(actor)
        sleep(self.faults.delay())

    def close(self) -> None:
        """It stays, for others."""


@define
class Locks:
    """The lock that each worker holds for as long as it lives (`workers.registration`)."""

    actor: Actor | None
    holders: dict[int, Actor | None]

    def hold(self, worker: int) -> None:
        self.holders[worker] = self.actor

    def keep(self) -> bool:
        return True

    def serve(self) -> None:
        """There may be several services: they share the database as on a server."""

    def drop(self) -> None:
        for worker in [w for w, actor in self.holders.items() if actor is self.actor]:
            del self.holders[worker]

    def is_alive(self, worker: int) -> bool:
        holder = self.holders.get(worker)
        return holder is not None and holder.alive
