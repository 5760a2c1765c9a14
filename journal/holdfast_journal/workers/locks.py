"""Telling which workers are gone, at once and without a clock.

A worker holds a lock of the operating system, or of the PostgreSQL server, for as long as it
lives. Whatever ends it, kill -9 included, ends the lock, so its flows can be taken over the moment
it is gone. (This is not what makes the takeover safe: the epoch is. And a worker that is paused
still holds its lock: leases are there for that, in `registration`.)
"""

import contextlib
from typing import Protocol

from attrs import define
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from holdfast_journal.store.database import Database
from holdfast_journal.workers.file_locks import FileLocks, locks_of


class Locks(Protocol):
    """One lock for each worker, named by its id."""

    def hold(self, worker: int) -> None:
        """Take the lock of this process's own new worker, until `drop` or death."""
        ...

    def keep(self) -> bool:
        """Take the held lock again if a lost connection lost it; False if it may have been free."""
        ...

    def serve(self) -> None:
        """Be the service of this database until `drop` or death, if it has room for only one.

        Raises AlreadyServed.
        """
        ...

    def drop(self) -> None:
        """Give up what is held."""
        ...

    def is_alive(self, worker: int) -> bool:
        """Whether a process holds the lock of `worker`."""
        ...


@define
class Alone:
    """For an in-memory database, which no other process can open."""

    _held: int | None = None

    def hold(self, worker: int) -> None:
        """Remember our id."""
        self._held = worker

    def keep(self) -> bool:
        """Nothing can be lost."""
        return True

    def serve(self) -> None:
        """Nothing to do: no other process can."""

    def drop(self) -> None:
        """Forget our id."""
        self._held = None

    def is_alive(self, worker: int) -> bool:
        """Only we are."""
        return worker == self._held


# Both halves of the lock's number: which database schema's workers, and which of them.
_NUMBER = "(CAST(CAST('holdfast_workers' AS regclass) AS oid)::bigint << 32) + :worker"


@define
class AdvisoryLocks:
    """For PostgreSQL: a session advisory lock on a connection of its own."""

    _database: Database
    _worker: int | None = None
    _connection: Connection | None = None

    def hold(self, worker: int) -> None:
        """Lock our number on a connection that does nothing else."""
        self._worker = worker
        self._lock()

    def keep(self) -> bool:
        """Lock again if the connection is gone. Raises SQLAlchemy's errors."""
        if self._connection is not None:
            try:
                self._connection.execute(text("SELECT 1"))
                return True
            except DBAPIError:
                self._connection.close()
                self._connection = None
        if self._worker is None:
            return True
        self._lock()
        return False

    def serve(self) -> None:
        """Nothing to do: a server has room for any number."""

    def drop(self) -> None:
        """Unlock, and close the connection.

        Closing alone would free the lock too, but only once the server has noticed.
        """
        if self._connection is not None:
            # A connection that is gone has taken the lock with it.
            with contextlib.suppress(DBAPIError):
                statement = text(f"SELECT pg_advisory_unlock({_NUMBER})")
                self._connection.execute(statement, {"worker": self._worker})
            self._connection.close()
        self._worker = self._connection = None

    def _lock(self) -> None:
        connection = self._database.engine.connect()
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.detach()  # from the pool, which would hand it to others
        try:
            # A machine that vanishes silently is noticed in a minute, not in two hours.
            for setting in ("idle = 30", "interval = 10", "count = 3"):
                connection.execute(text(f"SET tcp_keepalives_{setting}"))
            statement = text(f"SELECT pg_try_advisory_lock({_NUMBER})")
            if connection.execute(statement, {"worker": self._worker}).scalar_one():
                self._connection = connection
        finally:
            if self._connection is not connection:
                # Our own lost session may still hold it, not yet noticed: keep() tries again.
                connection.close()

    def is_alive(self, worker: int) -> bool:
        """Try to share the lock, for the length of a transaction."""
        with self._database.reading() as connection:
            statement = text(f"SELECT pg_try_advisory_xact_lock_shared({_NUMBER})")
            return not connection.execute(statement, {"worker": worker}).scalar_one()


def locks_for(database: Database, *, looks: bool = False) -> Locks:
    """The kind of lock that fits the database; if it only `looks`, it never holds one."""
    if database.path is not None:
        return FileLocks(locks_of(database.path), looks, database.see_that_it_is_there)
    return Alone() if database.in_memory else AdvisoryLocks(database)
