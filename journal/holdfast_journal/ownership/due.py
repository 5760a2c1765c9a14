"""Which flows can be taken: found with the indexes, however many others there are.

A worker asks twice a second, and the usual answer is "none". So each way in which a flow can be
due is a search of its own, which an index answers without looking at what is running or parked.
The statement is made once for each kind of question, since making it costs more than executing it.

There may be 100,000 flows that are due: all that a command has started, or all that a mailbox
server has forgotten. So each way is searched in the order of its index and no further than there
are places, and long lists of flows and names are not handed over as a whole, for each dozen flows
that are taken.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from functools import cache
from heapq import nsmallest
from typing import Any, Final, TypeAlias

from attrs import frozen
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Double,
    Select,
    bindparam,
    func,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.engine import Connection

from holdfast_journal.keys.master import known, opens
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.ownership.suspects import SUSPECT
from holdfast_journal.ownership.values import Unfinished
from holdfast_journal.store.database import Database
from holdfast_journal.store.dialect import Dialect, dialect_of
from holdfast_journal.store.resting import IS_WATCHED
from holdfast_journal.store.schema import NEW, batches, flows
from holdfast_journal.workers.registration import Alive

FEW: Final = 500
"""Names that are handed over to the database; of more it hears nothing, and ours are looked for
among what it finds."""

WIDER: Final = 8
"""How many times as far is looked if too few were found."""

CROWD = 4
"""How many times as many flows are looked at as are wanted: others may be taking the same ones."""

LONGEST_PAUSE = 600.0
"""The most seconds that a flow given back with a `wake_at` waits: if a clock is set back by a day,
the flow must not wait for a day. More than any worker asks for, since clocks of machines differ.
"""

SINCE = func.coalesce(func.abs(flows.c.wake_at), flows.c.updated_at)
"""Since when a flow waits to be taken."""


def is_parked(now: float | BindParameter[Any]) -> ColumnElement[bool]:
    """Whether a flow without an owner is left alone at `now`, unless something is asked of it.

    If it is watched, that may be for as long as it likes: its time is a negative number.
    """
    visited = (flows.c.wake_at > now) & (flows.c.wake_at <= now + LONGEST_PAUSE)
    return or_(visited, flows.c.wake_at < -now)


def is_due(now: float | BindParameter[Any]) -> ColumnElement[bool]:
    """Whether a flow without an owner, which is not over, is to be taken at `now`."""
    return or_(flows.c.wake_at.is_(None), ~is_parked(now), flows.c.request.is_not(None))


@frozen
class Wanted:
    """Which flows to take; None stands for any."""

    batch: str | None = None
    names: Collection[str] | None = None
    ids: Collection[int] | None = None
    kinds: Collection[str] | None = None
    limit: int | None = None
    without: Collection[int] = ()
    """Flows that are left to other workers."""
    begun: bool = False
    """Whether to take only flows that have begun, or of which something is asked."""
    suspects: bool | None = None
    """Whether to take suspects, and no others, or no suspects; see `suspects`."""


@frozen
class Due:
    """From which workers, and under which keys, `worker` may take flows now."""

    worker: int
    now: float
    """Seconds since the epoch."""
    dead: Sequence[int]
    """Workers that are gone, or seemed to be at the last look; their flows are due at once."""
    strays: Set[int]
    """Flows that `worker` owns and does not run."""
    keys: KeyRing
    """What must open a flow that is to be taken."""

    def find(self, connection: Connection, wanted: Wanted) -> list[int]:
        """Return the flows that may be taken, longest waiting first."""
        dialect, limit = dialect_of(connection), wanted.limit
        if limit is not None and dialect.many_writers:
            limit *= CROWD
        wide = limit
        while True:
            given = self._given(wanted, dialect, wide)
            search = _search(dialect, frozenset(given), begun=wanted.begun)
            rows = connection.execute(search, given).all()
            found = [row.id for row in rows if _is_named(row, wanted)]
            if wide is None or limit is None:
                return found
            is_all = len(rows) < wide and (wanted.begun or wide >= len(self.strays))
            if is_all or len(found) >= limit:
                return found[:limit]
            wide *= WIDER

    def _given(self, wanted: Wanted, dialect: Dialect, limit: int | None) -> Mapping[str, object]:
        """The parameters of the question; what is not asked is not among them."""
        strays: Collection[int] = self.strays
        if limit is not None and limit < len(strays) and not wanted.begun:
            strays = nsmallest(limit, strays)  # nearly all of so many were just started
        values = {
            "now": self.now,
            "worker": self.worker,
            "known": known(self.keys),
            "dead": self.dead or None,
            "strays": dialect.listed(strays or None),
            "kinds": dialect.listed(wanted.kinds),
            "ids": dialect.listed(wanted.ids),
            "names": dialect.listed(None if _has_many_names(wanted) else wanted.names),
            "without": dialect.listed(wanted.without or None),
            "batch": wanted.batch,
            "limit": limit,
            "suspects": SUSPECT if wanted.suspects else None,
            "others": SUSPECT if wanted.suspects is False else None,
        }
        return {name: value for name, value in values.items() if value is not None}

    def lock(self, connection: Connection, ids: Sequence[int], limit: int) -> Sequence[Any]:
        """Return the rows of those of `ids` that may still be taken, with their `batch_name`.

        Longest waiting first. No other worker can take them before the end of this transaction.
        """
        given = {
            "now": self.now,
            "owners": [self.worker, *self.dead],
            "known": known(self.keys),
            "ids": ids,
            "limit": limit,
        }
        return connection.execute(_lock(dialect_of(connection)), given).all()


def owners(database: Database) -> Set[int]:
    """The workers that own unfinished flows."""
    with database.reading() as connection:
        return set(connection.scalars(_OWNERS))


def dead_owners(owners: Set[int], alive: Alive, worker: int) -> Sequence[int]:
    """Those of other workers that are gone and have left flows to be run."""
    others = owners - {worker}
    dead = others - alive(others) if others else ()
    return sorted(dead, key=str)


def _owners() -> Select[Any]:
    """All owners of unfinished flows: index steps from one to the next, however many flows."""
    unfinished = select(func.min(flows.c.owner).label("owner")).where(flows.c.finished_at.is_(None))
    # Start below every possible value: SQLite may hold any integer here.
    found = unfinished.where(flows.c.owner > -(2**63)).cte("owners", recursive=True)
    following = unfinished.where(flows.c.owner > found.c.owner).scalar_subquery()
    found = found.union_all(select(following).where(found.c.owner.is_not(None)))
    return select(found.c.owner).where(found.c.owner.is_not(None))


_OWNERS = _owners()


@cache
def _search(dialect: Dialect, given: Set[str], *, begun: bool) -> Select[Any]:
    """The search for flows that are due, for questions in which these parameters are given."""
    chosen = _chosen(dialect, given, begun=begun)
    columns = (flows.c.id, flows.c.name, flows.c.deaths, SINCE.label("since"))
    ways = []
    for number, (way, order) in enumerate(_ways(dialect, given)):
        one: Any = select(*columns).where(way & chosen)
        if "limit" in given:
            first = (flows.c.deaths,) if "suspects" in given else ()
            # Within parentheses, which SQLite takes only around a table.
            part = one.order_by(*first, *order).limit(bindparam("limit"))
            one = select(part.subquery(f"way{number}"))
        ways.append(one)
    found = union_all(*ways).subquery("found")
    last = (found.c.since, found.c.id)
    query = select(found.c.id, found.c.name).order_by(
        *((found.c.deaths, *last) if "suspects" in given else last)
    )
    if "limit" in given:
        query = query.limit(bindparam("limit"))
    return query  # pyrefly: ignore[bad-return]


_Way: TypeAlias = tuple[ColumnElement[bool], tuple[ColumnElement[Any], ...]]
"""In which way a flow can be due, and the order in which an index has such flows."""


def _ways(dialect: Dialect, given: Set[str]) -> Iterator[_Way]:
    """Each way in which a flow can be due: a range of one of the small indexes."""
    unfinished = flows.c.finished_at.is_(None)
    unowned = unfinished & flows.c.owner.is_(None)
    now = bindparam("now", type_=Double)
    wake_at = flows.c.wake_at
    yield unowned & wake_at.is_(None), (flows.c.id,)
    yield unowned & (wake_at <= now) & (wake_at >= 0.0), (wake_at, flows.c.id)
    yield unowned & (wake_at < 0.0) & (wake_at >= -now), (wake_at.desc(), flows.c.id.desc())
    yield unowned & (wake_at > now + LONGEST_PAUSE), (wake_at, flows.c.id)
    # A finished flow has no request. Asking for unfinished flows too would lead the database to the
    # larger index, and through all parked flows.
    yield flows.c.request.is_not(None) & flows.c.owner.is_(None) & is_parked(now), (flows.c.id,)
    if "dead" in given:
        # Not `among`: the column may hold any value.
        dead = flows.c.owner.in_(bindparam("dead", expanding=True))
        yield unfinished & dead, (flows.c.owner, wake_at, flows.c.id)
    if "strays" in given:
        strays = dialect.among(flows.c.id, "strays")
        # By the ids: the index of owners leads through all that we have.
        yield unfinished & (flows.c.owner + 0 == bindparam("worker")) & strays, (flows.c.id,)


def _has_many_names(wanted: Wanted) -> bool:
    """Whether the database is not asked for the names, since there are too many."""
    return wanted.limit is not None and wanted.names is not None and len(wanted.names) > FEW


def _is_named(row: Any, wanted: Wanted) -> bool:
    """Whether a flow that was found has one of the names that the database did not hear."""
    return not _has_many_names(wanted) or row.name in (wanted.names or ())


def _chosen(dialect: Dialect, given: Set[str], *, begun: bool) -> ColumnElement[bool]:
    """Which of the flows that are due are wanted: tested one by one, without another index.

    The indexes of batches and names hold more flows than are due, so the planner is kept off them.
    """
    chosen = opens(bindparam("known", expanding=True))
    if begun:
        chosen &= (flows.c.status != NEW) | flows.c.request.is_not(None)
    chosen &= _named(dialect, given)
    if "without" in given:
        chosen &= ~dialect.among(flows.c.id, "without")
    if "ids" in given:
        chosen &= dialect.among(flows.c.id, "ids")
    if "suspects" in given:
        chosen &= flows.c.deaths >= bindparam("suspects")
    if "others" in given:
        chosen &= func.coalesce(flows.c.deaths, 0) < bindparam("others")
    return chosen


@cache
def _lock(dialect: Dialect) -> Select[Any]:
    """The same question again, of flows that were found."""
    now = bindparam("now", type_=Double)
    unowned = flows.c.owner.is_(None) & is_due(now)
    ours = or_(unowned, flows.c.owner.in_(bindparam("owners", expanding=True)))
    query = (
        select(flows, batches.c.name.label("batch_name"))
        .join(batches, flows.c.batch_id == batches.c.id)
        .where(
            flows.c.id.in_(bindparam("ids", expanding=True)),
            flows.c.finished_at.is_(None),
            ours,
            opens(bindparam("known", expanding=True)),
        )
        .order_by(SINCE, flows.c.id)
        .limit(bindparam("limit"))
    )
    # Several workers may take at once: each gets rows that no other is taking.
    return dialect.locked(query, of=flows, skip=True)


def owned(database: Database, worker: int) -> set[int]:
    """The unfinished flows that `worker` owns."""
    query = select(flows.c.id).where(flows.c.finished_at.is_(None), flows.c.owner == worker)
    with database.reading() as connection:
        return set(connection.scalars(query))


def count_unfinished(database: Database, wanted: Wanted) -> Unfinished:
    """How many flows are to be run, of the batch, names and kinds that are wanted.

    Nothing is asked of those that are watched: there may be 100,000.
    """
    dialect = database.dialect
    values = {
        "batch": wanted.batch,
        "names": dialect.listed(wanted.names),
        "kinds": dialect.listed(wanted.kinds),
    }
    given = {name: value for name, value in values.items() if value is not None}
    chosen = _named(dialect, frozenset(given))
    # Each way is a range of an index: those that are watched may be very many.
    unowned = flows.c.owner.is_(None)
    ways = (flows.c.owner.is_not(None), unowned & flows.c.wake_at.is_(None), unowned & ~IS_WATCHED)
    columns = (flows.c.status, flows.c.owner)
    unfinished = flows.c.finished_at.is_(None) & chosen
    found = union_all(*(select(*columns).where(unfinished & way) for way in ways)).subquery()
    new = found.c.status == NEW
    query = select(
        func.count().filter(~new),
        func.count().filter(new),
        func.count().filter(found.c.owner.is_(None) & ~new),
    )
    with database.reading() as connection:
        return Unfinished(*connection.execute(query, given).one())


def _named(dialect: Dialect, given: Set[str]) -> ColumnElement[bool]:
    """The flows of a batch, of some kinds, or with some names: what of that is given."""
    chosen: ColumnElement[bool] = true()
    if "batch" in given:
        named = select(batches.c.id).where(batches.c.name == bindparam("batch"))
        chosen &= flows.c.batch_id + 0 == named.scalar_subquery()
    if "kinds" in given:
        chosen &= dialect.among(flows.c.kind, "kinds")
    if "names" in given:
        chosen &= dialect.among(flows.c.name, "names")
    return chosen
