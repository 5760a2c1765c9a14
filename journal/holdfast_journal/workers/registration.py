"""This process as a worker of one database, and how others know that it lives.

A worker is alive as long as it holds its lock (see `locks`) and its `lease` has not run out: a time
in its row, always some way ahead, that it puts off again and again. So the flows of a process that
ended are free at once, and those of one that is merely paused (stopped, suspended, cut off) are
free when its lease is over.

A thread renews the lease, and only while the reactor turns and the writer writes (see `liveness`):
a worker that merely stands still must not keep its flows from those who would run them.

Whoever was paused does not know it. Before a worker lets anything out it asks `holds`, which goes
by a clock of its own that no pause stops. When that says no, everything waits until the lease is
renewed; and if it was over by then, until the worker has found out which flows others have taken.
(What such a worker still wants to write, the epochs of its flows refuse.)
"""

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Collection, Set
from math import inf
from typing import TypeAlias

from attrs import define, field
from sqlalchemy import ColumnElement, and_, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError
from twisted.logger import Logger

from holdfast_journal.errors import DatabaseMoved, DatabaseUnusable
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import workers
from holdfast_journal.workers.clocks import boot_time, database_clock, in_time
from holdfast_journal.workers.liveness import Moving
from holdfast_journal.workers.locks import Locks

LEASE = 30.0
"""Seconds for which a worker is taken for alive after each renewal."""
RENEWALS = 3
"""How often it renews in that time."""
LOOKS = 6
"""How often in that time it looks whether this process moves."""
AGAIN = 1.0
"""Seconds between two attempts to renew at a database that does not answer."""
CLOSING = 5.0
"""Seconds for which `Registration.drop` waits for a renewal that is under way."""


_log = Logger()


@define(eq=False)
class Registration:
    """This process as a worker. The row is made when the id is first needed."""

    _database: Database
    _clock: Callable[[], float]
    locks: Locks
    lease: float = LEASE
    uptime: Callable[[], float] = boot_time
    host: str = field(factory=socket.gethostname)
    moving: Moving | None = None
    """What must move while a thread renews the lease, however busy it is; without, none does."""
    on_lapse: Callable[[], object] = lambda: None
    """Called, from whatever thread, when others may have taken our flows, before `holds` says yes
    again: to let go of those that they took."""
    lapses: int = field(default=0, init=False)
    """How often that has happened, or is about to."""
    _late: bool = field(default=False, init=False)
    """Whether `drop` had to leave the lock to the thread that renews."""
    _service: str | None = field(default=None, init=False)
    """What `serves` is while it shares."""
    serves: str | None = field(default=None, init=False)
    """Which kinds of flows it shares with others that have the same there, as in its row."""
    _lapsed: bool = field(default=False, init=False)
    """Whether it has happened, and `on_lapse` has not returned yet."""
    _id: int | None = field(default=None, init=False)
    _started_at: float = field(default=0.0, init=False)
    """As in our row, by which it is told from that of another worker with our id."""
    _held_until: float = field(default=inf, init=False)
    """By `uptime`."""
    _renew_at: float = field(default=inf, init=False)
    _once: threading.RLock = field(factory=threading.RLock, init=False, repr=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)
    _asked: list[Callable[[], object]] = field(factory=list, init=False, repr=False)
    _wake: threading.Event = field(factory=threading.Event, init=False, repr=False)
    _still: str = field(default="", init=False)
    """What was last said to stand still."""

    @property
    def current(self) -> int | None:
        """Our id, if we needed one yet."""
        return self._id

    def id(self) -> int:
        """Our id. Blocks, the first time."""
        with self._once:
            if self._id is None:
                began = self.uptime()
                self._started_at = self._clock()
                until = None
                if not self._database.in_memory:  # where nobody else can be
                    until = database_clock(self._database, self._clock()) + self.lease
                with self._database.writing() as connection:
                    statement = insert(workers).values(
                        host=self.host,
                        pid=os.getpid(),
                        started_at=self._started_at,
                        lease_until=until,
                    )
                    row = connection.execute(statement.returning(workers.c.id)).scalar_one()
                    # Before the row is seen by others, so that nobody takes us for dead.
                    self.locks.hold(row)
                self._id = row
                if until is not None:
                    self._renewed(began)
                    if self.moving is not None:
                        self._thread = threading.Thread(
                            target=self._work, name="lease", daemon=True
                        )
                        self._thread.start()
            return self._id

    def serve(self, kinds: Collection[str] | None) -> None:
        """Be a service of this database, which shares these kinds of flows with others.

        Raises AlreadyServed, DatabaseUnusable.
        """
        worker = self.id()
        self.locks.serve()
        serves = None if kinds is None else json.dumps(sorted(set(kinds)))
        with self._database.writing() as connection:
            connection.execute(update(workers).where(workers.c.id == worker).values(serves=serves))
        self.serves = self._service = serves

    def share(self, on: bool) -> None:
        """Share what it serves with others, or leave it to them. Raises DatabaseUnusable."""
        worker, serves = self._id, self._service if on else None
        if worker is None or serves == self.serves:
            return
        with self._database.writing() as connection:
            connection.execute(update(workers).where(workers.c.id == worker).values(serves=serves))
        self.serves = serves

    @property
    def kinds(self) -> list[str]:
        """What `serves` says."""
        return [] if self.serves is None else list(json.loads(self.serves))

    def holds(self, now: float | None = None) -> bool:
        """Whether our flows are certainly still ours, now. For any thread; does not block.

        `now` is for those who have just asked `uptime` themselves.
        """
        return (self.uptime() if now is None else now) < self._held_until

    def keep(self) -> None:
        """Renew the lease if that is due, and the lock if it was lost. Raises SQLAlchemy's errors.

        Blocks, also while another thread does it. Raises DatabaseMoved.
        """
        with self._once:
            if self._id is None:
                return
            if not self.locks.keep():
                self._lapse()
            began = self.uptime()
            if began < self._renew_at and not self._lapsed:
                return
            with self._database.transaction(writes=True) as connection:
                # Not before: while we waited for our turn the lease may have run out.
                now = self._clock()
                until = database_clock(self._database, now) + self.lease
                ours = update(workers).where(workers.c.id == self._id).values(lease_until=until)
                alive = in_time(self._database, now)
                if connection.execute(ours.where(self._is_us(), alive)).rowcount != 1:
                    self._lapse()
                    self.see_that_it_knows_us(connection)
                    connection.execute(ours)
                elif not self.holds():
                    # It was over, by a clock that never jumps; that of the leases was set back.
                    self._lapse()
            if self._lapsed:
                self.on_lapse()
                self._lapsed = False
            self._renewed(began)

    def see_that_it_knows_us(self, connection: Connection) -> None:
        """See that what is in the database now is what we are a worker of. Raises DatabaseMoved.

        A copy that was put in its place, in the same file or on the same server, holds flows that
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

        With the connection of a transaction that writes, that is, until it ends: no lapsed lease
        can be renewed meanwhile. A worker that is doing just that counts as alive.
        Raises DatabaseUnusable.
        """
        query = select(workers.c.id).where(workers.c.id.in_(ids))
        current = in_time(self._database, self._clock())
        if connection is None:
            with self._database.reading() as connection:
                found = set(connection.scalars(query.where(current)))
        else:
            renewing = set()
            if self._database.is_postgresql:
                ours = connection.scalars(query.with_for_update(read=True, skip_locked=True))
                renewing = set(ids).difference(ours)
            found = set(connection.scalars(query.where(current))) | renewing
        # A row may hold anything; nobody has an id that is not positive.
        return {each for each in found if 0 < each < 2**62 and self.locks.is_alive(each)}

    def ask(self, then: Callable[[], object]) -> None:
        """Have the thread renew now, and call `then`, in that thread, as soon as `holds`.

        For the reactor's thread.
        """
        if self.moving is not None:
            self.moving.turned()
        self._asked.append(then)
        self._wake.set()

    def drop(self) -> None:
        """Stop being a worker."""
        thread, self._thread = self._thread, None
        self._wake.set()
        # A database that does not answer must not keep us: the lease ends without us too.
        if not self._once.acquire(timeout=CLOSING):
            self._late = True
            return
        try:
            with contextlib.suppress(SQLAlchemyError, DatabaseUnusable):
                if self._id is not None:
                    with self._database.writing() as connection:
                        mine = update(workers).where(workers.c.id == self._id)
                        connection.execute(mine.values(lease_until=None, serves=None))
            self.locks.drop()
            self._id = self.serves = None
            self._held_until = self._renew_at = inf
        finally:
            self._once.release()
        if thread is not None:
            thread.join()

    def _lapse(self) -> None:
        """Others may have taken us for dead."""
        self._lapsed = True
        self.lapses += 1
        self._held_until = -inf

    def _renewed(self, began: float) -> None:
        """The lease was renewed, by a statement that was sent after `began`."""
        self._held_until = began + self.lease
        self._renew_at = began + self.lease / RENEWALS

    def _work(self) -> None:
        """The thread that renews, as long as the others move."""
        while self._thread is threading.current_thread():
            delay = self.lease / LOOKS
            try:
                if self._moves():
                    self.keep()
                else:
                    delay = min(delay, AGAIN)
            except (SQLAlchemyError, DatabaseUnusable):
                # Whoever needs the database says that it does not answer, or was moved.
                delay = min(delay, AGAIN)
            if self.holds():
                while self._asked:
                    self._asked.pop()()
            if self.moving is not None:
                self.moving.rests()
            self._wake.wait(delay)
            self._wake.clear()

        if self._late:
            # `drop` could not wait for what we were doing, and nobody else gives up the lock.
            self.locks.drop()

    def _moves(self) -> bool:
        """Whether this process does its work; says so when it does not, and when it does again."""
        still = None if self.moving is None else self.moving.look(self.lease / LOOKS)
        if still is None:
            if self._still:
                _log.warn("{who} moves again", who=self._still)
            self._still = ""
            return True
        who, seconds, place = still
        if self._still != who:
            self._still = who
            _log.warn(
                "{who} has stood still for {seconds:.0f} seconds, in {place}; others will take the"
                " flows of this process if that goes on",
                who=who,
                seconds=seconds,
                place=place,
            )
        return False


Alive: TypeAlias = Callable[[Collection[int]], Set[int]]
"""Tells which workers are alive."""
