"""Fair shares: services that do the same work have about as many flows each.

No service decides for all. Every few seconds each counts the flows that there are to run and the
services that are alive, and takes no more than its part. If it has more, because another service
has just begun, it gives the surplus back, little by little.

A share is not a promise: another service may have no connections left, or be stuck. So if flows are
left over although we have our share, we take them in the end, and then keep them for a while.
"""

import json
from collections.abc import Callable, Collection, Set
from functools import cache
from math import inf

from attrs import define, field
from sqlalchemy import Double, Select, bindparam, func, or_, select, update

from holdfast_journal.ownership.due import LONGEST_PAUSE, dead_owners, owners
from holdfast_journal.store.database import Database
from holdfast_journal.store.dialect import Dialect
from holdfast_journal.store.schema import flows, workers
from holdfast_journal.workers.clocks import in_time
from holdfast_journal.workers.registration import Registration

COUNT_SHARE_EVERY = 2.0
"""Seconds between two counts."""

BEYOND_FOR = 10
"""For how many lease times a service that had to help out ignores shares."""


@define
class Sharing:
    """This worker's share. Used by one thread at a time."""

    _database: Database
    _registration: Registration
    _clock: Callable[[], float]
    """The time that all workers share."""
    _serves: str | None = field(default=None, init=False)
    """What we are the service of: a JSON list of kinds."""
    _shared: str | None = field(default=None, init=False)
    """The same as in our row, while other services with the same list are to share with us."""
    _share: int | None = field(default=None, init=False)
    """How many flows are ours; None: as many as there are."""
    _waiting: int = field(default=0, init=False)
    """How many flows no worker runs."""
    _sharers: Set[int] = field(default=frozenset(), init=False)
    """The services that share, we among them."""
    _count_at: float = field(default=-inf, init=False)
    _left_since: float = field(default=inf, init=False)
    """Since when there are flows beyond our share that no worker takes."""
    _beyond_until: float = field(default=-inf, init=False)

    def serve(self, kinds: Collection[str] | None) -> None:
        """Be a service of this database, which shares these kinds of flows with others.

        Raises AlreadyServed, DatabaseUnusable.
        """
        worker = self._registration.id()
        self._registration.locks.serve()
        serves = None if kinds is None else json.dumps(sorted(set(kinds)))
        self._note(worker, serves)
        self._serves = serves

    def take_part(self, *, on: bool) -> None:
        """Share what it serves with others, or leave it to others. Raises DatabaseUnusable."""
        worker, shared = self._registration.current, self._serves if on else None
        if worker is not None and shared != self._shared:
            self._note(worker, shared)

    def _note(self, worker: int, shared: str | None) -> None:
        with self._database.writing() as connection:
            connection.execute(update(workers).where(workers.c.id == worker).values(serves=shared))
        self._shared = shared

    @property
    def sharers(self) -> int:
        """How many services share, we among them."""
        return max(1, len(self._sharers))

    def room(self, running: int) -> int | None:
        """How many flows a worker that runs so many may take; None: any number.

        Raises DatabaseUnusable.
        """
        self._count(running)
        return None if self._share is None else max(0, self._share - running)

    def excess(self, running: int) -> int:
        """How many flows it runs above its share. Raises DatabaseUnusable."""
        self._count(running)
        # While others leave waiting flows untaken, giving back more would not help.
        return 0 if self._share is None or self._waiting else max(0, running - self._share)

    def _count(self, running: int) -> None:
        now = self._registration.term.uptime()
        alone = self._shared is None or not self._database.dialect.many_writers
        if alone or self._registration.current is None:
            self._share = None
            return
        if now < self._count_at:
            return
        sharers = self._find_sharers()
        if sharers != self._sharers:
            self._sharers, self._left_since, self._beyond_until = sharers, inf, -inf
        self._share = None
        if len(sharers) > 1 and now >= self._beyond_until:
            total, self._waiting = self._find_flows()
            self._share = -(-total // len(sharers))
            if running < self._share or not self._waiting:
                self._left_since = inf
            elif self._left_since == inf:
                self._left_since = now
            elif now - self._left_since >= self._registration.term.lease:
                self._left_since = inf
                self._beyond_until = now + BEYOND_FOR * self._registration.term.lease
                self._share = None
        self._count_at = now + COUNT_SHARE_EVERY

    def _find_sharers(self) -> Set[int]:
        """The services that are alive and have the same kinds of flows as we."""
        same = workers.c.serves == self._shared
        current = in_time(self._database, self._clock())
        with self._database.reading() as connection:
            found = set(connection.scalars(select(workers.c.id).where(same, current)))
        ours = self._registration.id()
        return self._registration.alive(found - {ours}) | {ours}

    def _find_flows(self) -> tuple[int, int]:
        """How many flows there are to run now, and how many of them no worker runs."""
        now = self._clock()
        ours = self._registration.id()
        dead = dead_owners(owners(self._database), self._registration.alive, ours)
        dialect = self._database.dialect
        given = {
            "now": now,
            "dead": dialect.listed(dead),
            "sharers": dialect.listed(self._sharers),
            "kinds": dialect.listed(json.loads(self._shared or "[]")),
        }
        with self._database.reading() as connection:
            total, waiting = connection.execute(_to_run(dialect), given).one()
        return total, waiting


@cache
def _to_run(dialect: Dialect) -> Select[int, int]:
    """Count the flows that there are to run, and those of them that no worker runs."""
    now = bindparam("now", type_=Double)
    unowned = flows.c.owner.is_(None)
    # Each by itself a range of an index: those that are watched, or parked, may be very many.
    left = or_(
        unowned & flows.c.wake_at.is_(None),
        unowned & flows.c.wake_at.between(-now, now),
        unowned & (flows.c.wake_at > now + LONGEST_PAUSE),
        unowned & flows.c.request.is_not(None),
        dialect.among(flows.c.owner, "dead"),
    )
    return select(func.count(), func.count().filter(left)).where(
        flows.c.finished_at.is_(None),
        dialect.among(flows.c.kind, "kinds"),
        or_(left, dialect.among(flows.c.owner, "sharers")),
    )
