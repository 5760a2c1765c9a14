"""This process as a worker of one database, and how others know that it is alive.

A worker is alive while it holds its lock (see `locks`) and its `lease` has not run out. The lease
is a time in its row, always some way ahead, that it moves forward again and again. So if a process
ends, its flows are free at once; if it is merely paused (stopped, suspended, cut off), they are
free when its lease is over.

A worker that was paused does not know it. So before it lets anything out it asks `holds`, which
goes by a clock of its own that no pause stops (`term.Term`). There are four states:

- `unregistered`: no row, no lock, no flows. `holds` says yes, since there is nothing to lose. The
  first `id` inserts our row. It takes the lock before that is committed, so that no other worker
  takes us for dead.
- `holding`: the lease in our row is ahead, and `holds` says yes. No other worker can take our
  flows: it asks `alive`, inside the transaction that would take them, and is told that we live.
- `late`: by our clock the lease may be over, and `holds` says no: nothing is let out. Perhaps no
  other worker has noticed. `keep` finds out: it renews the lease only if the one in our row is
  still ahead, and then we are `holding` again, with all our flows.
- `lapsed`: the lease in our row was over, or our lock was free for a moment, or the shared clock
  was set back so far that we cannot know. Other workers may have taken flows of ours. `keep` renews
  the lease, and then calls `on_lapse`, which lets go of the flows that they took. Only when that
  has returned are we `holding` again. If it fails, we stay lapsed, and the next `keep` begins
  there.

If a worker that has lapsed still tries to write, the epochs of its flows refuse it: `holds` guards
what leaves this process, and the epochs guard what enters the database.

Threads: `id`, `keep` and `drop` block, take turns by a lock, and may be called from any thread but
the reactor's. `holds` is for every thread. A thread of our own (`renewing`) calls `keep` a few
times in the time of a lease, but only while the reactor turns and the writer writes (see
`liveness`): a worker that merely stands still must not keep its flows from other workers that could
run them. If the reactor finds that `holds` says no, it does not wait, but has that thread call it
back (`ask`). An inline journal has no such thread: the thread that processes an event calls `keep`
if necessary.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Collection, Set
from typing import TypeAlias

from attrs import define, field
from sqlalchemy import ColumnElement, and_, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from holdfast_journal.errors import DatabaseMoved, DatabaseUnusable
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import workers
from holdfast_journal.workers.clocks import in_time
from holdfast_journal.workers.locks import Locks
from holdfast_journal.workers.renewing import Renewing
from holdfast_journal.workers.term import Term

CLOSING = 5.0
"""Seconds for which `Registration.drop` waits for a renewal that is under way."""


@define(eq=False)
class Registration:
    """This process as a worker. The row is made when the id is first needed."""

    _database: Database
    _clock: Callable[[], float]
    locks: Locks
    _on_lapse: Callable[[], object] = lambda: None
    """Called, from any thread, after the lease may have lapsed and before `holds` says yes again;
    must let go of the flows that other workers took."""
    term: Term = field(factory=Term)
    renewing: Renewing | None = None
    """The thread that renews the lease; None: only callers of `keep` do."""
    host: str | None = None
    """What this machine is called, if not as it calls itself."""
    _id: int | None = field(default=None, init=False)
    _started_at: float = field(default=0.0, init=False)
    """As in our row: tells it from the row of another worker with our id."""
    _once: threading.RLock = field(factory=threading.RLock, init=False, repr=False)

    @property
    def current(self) -> int | None:
        """Our id, if we needed one yet."""
        return self._id

    def id(self) -> int:
        """Our id. Blocks, the first time."""
        with self._once:
            return self._register() if self._id is None else self._id

    def _register(self) -> int:
        began = self.term.uptime()
        self._started_at = self._clock()
        until = None
        if not self._database.in_memory:  # which no other process can open
            until = self._database.dialect.clock(self._clock()) + self.term.lease
        with self._database.writing() as connection:
            statement = insert(workers).values(
                host=socket.gethostname() if self.host is None else self.host,
                pid=os.getpid(),
                started_at=self._started_at,
                lease_until=until,
            )
            row: int = connection.execute(statement.returning(workers.c.id)).scalar_one()
            # Before other workers see the row, so that none takes us for dead.
            self.locks.hold(row)
        self._id = row
        if until is not None:
            self.term.renewed(began)
            if self.renewing is not None:
                self.renewing.start(self.term, self.keep)
        return row

    def holds(self, now: float | None = None) -> bool:
        """Whether our flows are certainly still ours, now. For any thread; does not block.

        If you have just asked `term.uptime` yourself, pass it as `now`.
        """
        return self.term.holds(now)

    def keep(self) -> None:
        """Renew the lease if that is due, and the lock if it was lost. Raises SQLAlchemy's errors.

        Blocks, also while another thread does it. Raises DatabaseMoved.
        """
        with self._once:
            if self._id is None:
                return
            if not self.locks.keep():
                self.term.lapse()
            began = self.term.uptime()
            if not self.term.is_due(began):
                return
            # Nobody who looks into the database looks for that.
            with self._database.without_news(), self._database.transaction(writes=True) as tx:
                self._renew(tx)
            if self.term.lapsed:
                self._on_lapse()
            self.term.renewed(began)

    def _renew(self, connection: Connection) -> None:
        # Not earlier: while we waited for our turn the lease may have run out.
        now = self._clock()
        until = self._database.dialect.clock(now) + self.term.lease
        ours = update(workers).where(workers.c.id == self._id).values(lease_until=until)
        alive = in_time(self._database, now)
        if connection.execute(ours.where(self._is_us(), alive)).rowcount != 1:
            self.term.lapse()
            self.see_that_it_knows_us(connection)
            connection.execute(ours)
        elif not self.holds():
            # By a clock that never jumps it was over; the clock of the leases was set back.
            self.term.lapse()

    def see_that_it_knows_us(self, connection: Connection) -> None:
        """See that what is in the database now is what we are a worker of. Raises DatabaseMoved.

        If a copy was put in its place, in the same file or on the same server, it holds flows that
        are not ours to take, and lacks what we have committed.
        """
        if connection.scalar(select(workers.c.id).where(self._is_us())) is None:
            raise DatabaseMoved(
                f"the database {self._database.name} does not know this process any more: another"
                " copy was put in its place, or the worker was purged while it stood still;"
                " start again to use what is there now"
            )

    def _is_us(self) -> ColumnElement[bool]:
        return and_(
            workers.c.id == self._id,
            workers.c.pid == os.getpid(),
            workers.c.started_at == self._started_at,
        )

    def alive(self, ids: Collection[int], connection: Connection | None = None) -> set[int]:
        """Those workers of `ids` that are alive; with `connection` they stay so, or stay dead.

        That holds until the end of the transaction, which must be one that writes: meanwhile no
        lapsed lease can be renewed. A worker that is just renewing its lease counts as alive.
        Raises DatabaseUnusable.
        """
        query = select(workers.c.id).where(workers.c.id.in_(ids))
        current = in_time(self._database, self._clock())
        if connection is None:
            with self._database.reading() as connection:
                found = set(connection.scalars(query.where(current)))
        else:
            renewing = set()
            dialect = self._database.dialect
            if dialect.many_writers:
                ours = connection.scalars(dialect.locked(query, share=True, skip=True))
                renewing = set(ids).difference(ours)
            found = set(connection.scalars(query.where(current))) | renewing
        # A row may hold anything, but the id of a worker is always positive.
        return {each for each in found if 0 < each < 2**62 and self.locks.is_alive(each)}

    def ask(self, then: Callable[[], object]) -> None:
        """Call `then` as soon as `holds`; see `Renewing.ask`."""
        if self.renewing is not None:
            self.renewing.ask(then)

    def drop(self) -> None:
        """Stop being a worker."""
        thread = None if self.renewing is None else self.renewing.end()
        # If the database does not answer, do not wait for it: the lease ends without us too.
        if not self._once.acquire(timeout=CLOSING):
            if self.renewing is not None:
                # That thread is busy with the database, and only it can give up the lock.
                self.renewing.leave(self.locks.drop)
            return
        try:
            with contextlib.suppress(SQLAlchemyError, DatabaseUnusable):
                if self._id is not None:
                    with self._database.writing() as connection:
                        mine = update(workers).where(workers.c.id == self._id)
                        connection.execute(mine.values(lease_until=None, serves=None))
            self.locks.drop()
            self._id = None
            self.term.end()
        finally:
            self._once.release()
        if thread is not None:
            thread.join()


Alive: TypeAlias = Callable[[Collection[int]], Set[int]]
"""Tells which workers are alive."""
