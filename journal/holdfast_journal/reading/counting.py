"""How many flows stand how: counted by the database, however many they are."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen
from sqlalchemy import bindparam, false, func, select
from sqlalchemy.engine import Connection

from holdfast_journal.reading.filtering import ASKED_TO_END, Filter
from holdfast_journal.statuses import CANCELLING, UNLOADED
from holdfast_journal.store.dialect import dialect_of
from holdfast_journal.store.resting import IS_WATCHED
from holdfast_journal.store.schema import entries, flows, tasks
from holdfast_journal.store.values import is_number
from holdfast_journal.workers.registration import Alive


@frozen
class Group:
    """Flows that stand alike."""

    status: str
    """A word of the database, or CANCELLING."""
    kind: str
    finished: bool
    number: int
    """How many they are."""
    unloaded: int = 0
    """How many of them wait for a worker that can load them."""
    troubled: int = 0
    """How many of them are not over, and have trouble."""
    owner_alive: bool | None = None
    """None if no worker owns them."""
    wake_at: float | None = None
    """The latest time at which one of them is to be taken, if no worker owns them."""
    parked: int = 0
    """How many of them have such a time: they are visited."""
    watched: bool = False
    """Whether no worker owns them because a mailbox server watches for them."""


_ALIKE = (flows.c.status, flows.c.kind)
_OVER = select(*_ALIKE, func.count().label("number")).group_by(*_ALIKE)
_WATCHED = func.coalesce(IS_WATCHED, false())
_OPEN = select(
    *_ALIKE,
    flows.c.owner,
    _WATCHED.label("watched"),
    ASKED_TO_END.label("asked"),
    func.count().label("number"),
    func.count().filter(flows.c.trouble.startswith(UNLOADED, autoescape=True)).label("unloaded"),
    func.count(flows.c.trouble).label("troubled"),
    func.max(flows.c.wake_at).label("wake_at"),
    func.count(flows.c.wake_at).label("parked"),
).group_by(*_ALIKE, flows.c.owner, ASKED_TO_END, _WATCHED)

_CUT_OFF = (
    select(entries.c.heard, func.count().label("number"))
    .join(flows, (entries.c.flow_id == flows.c.id) & (entries.c.seq == flows.c.seq))
    .where(flows.c.finished_at.is_(None), entries.c.kind == bindparam("kind"))
    .group_by(entries.c.heard)
    .order_by(func.count().desc())
    .limit(bindparam("most"))
)


def finished(connection: Connection, chosen: Filter) -> list[Group]:
    """The flows of a filter that are over, counted."""
    dialect = dialect_of(connection)
    query = _OVER.where(flows.c.finished_at.is_not(None), chosen.condition(dialect))
    return [
        Group(str(row.status), str(row.kind), finished=True, number=row.number)
        for row in connection.execute(query, chosen.parameters(dialect))
    ]


def unfinished(connection: Connection, chosen: Filter) -> Sequence[Any]:
    """Those that are not, counted for each worker: for `of_workers`."""
    dialect = dialect_of(connection)
    query = _OPEN.where(flows.c.finished_at.is_(None), chosen.condition(dialect))
    return connection.execute(query, chosen.parameters(dialect)).all()


def of_workers(rows: Sequence[Any], alive: Alive) -> list[Group]:
    """One group for all workers that are alive, one for the others, and two for no worker."""
    living = alive({row.owner for row in rows if row.owner is not None})
    alike = defaultdict[tuple[str, str, bool | None, bool], list[Any]](list)
    for row in rows:
        word = CANCELLING if row.asked else str(row.status)
        owner_alive = None if row.owner is None else row.owner in living
        alike[word, str(row.kind), owner_alive, bool(row.watched)].append(row)
    return [
        Group(
            word,
            kind,
            finished=False,
            number=sum(row.number for row in each),
            unloaded=sum(row.unloaded for row in each),
            troubled=sum(row.troubled for row in each),
            owner_alive=owner_alive,
            wake_at=None if watched else max(_times(each), default=None),
            parked=0 if watched else sum(row.parked for row in each),
            watched=watched,
        )
        for (word, kind, owner_alive, watched), each in alike.items()
    ]


def open_tasks(connection: Connection) -> Mapping[str, int]:
    """How many tasks of each name are not over."""
    query = select(tasks.c.name, func.count().label("number")).group_by(tasks.c.name)
    return {str(row.name): row.number for row in connection.execute(query)}


def last_heard(connection: Connection, kind: str, most: int) -> Mapping[str, int]:
    """What was the last that unfinished flows heard, of those whose last entry is of that kind."""
    rows = connection.execute(_CUT_OFF, {"kind": kind, "most": most})
    return {str(row.heard): row.number for row in rows}


def _times(rows: Sequence[Any]) -> Iterator[float]:
    for row in rows:
        if isinstance(row.wake_at, float) or is_number(row.wake_at):
            yield row.wake_at
