"""Batches, those that began last first: how many flows of each stand how, counted in SQL."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen
from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from holdfast_journal.reading.filtering import ASKED_TO_END
from holdfast_journal.statuses import CANCELLING
from holdfast_journal.store.schema import batches, flows
from holdfast_journal.store.values import mended, unsound


@frozen
class BatchRow:
    """A batch as its operators see it. Times in seconds since the epoch."""

    id: int
    name: str
    created_at: float
    counts: Mapping[str, int]
    """How many of its flows have each status: a word of the database, or CANCELLING."""
    unfinished: int
    """How many of them are not over."""
    first_at: float | None
    """When its first flow was started; None if it has no flows any more."""
    last_at: float | None
    """When one of its flows last moved or ended."""


@frozen
class BatchPage:
    """Some batches, those that began last first."""

    rows: Sequence[BatchRow]
    then: int | None
    """What to hand over to get the next page; None if this is the last one."""


_ALIKE = (flows.c.batch_id, flows.c.status)
_SUMS = (
    func.count().label("number"),
    func.min(flows.c.created_at).label("first_at"),
)
_OVER = select(*_ALIKE, *_SUMS, func.max(flows.c.finished_at).label("last_at")).group_by(*_ALIKE)
_OPEN = select(
    *_ALIKE,
    ASKED_TO_END.label("asked"),
    *_SUMS,
    func.max(flows.c.updated_at).label("last_at"),
).group_by(*_ALIKE, ASKED_TO_END)


@frozen
class Counted:
    """What was found of some batches."""

    batches: Sequence[Any]
    over: Sequence[Any]
    """Counts of their flows that are over."""
    open: Sequence[Any]
    """And of those that are not."""


def find(
    connection: Connection, name: str | None, limit: int, after: int | None
) -> tuple[Counted, int | None]:
    """At most `limit` batches that began before `after`, and where the next page begins."""
    query = select(batches).order_by(batches.c.id.desc()).limit(limit + 1)
    if name is not None:
        query = query.where(batches.c.name == name)
    if after is not None:
        query = query.where(batches.c.id < after)
    found = list(connection.execute(query))
    ids = [each.id for each in found[:limit]]
    inside = flows.c.batch_id.in_(ids)
    over = connection.execute(_OVER.where(inside, flows.c.finished_at.is_not(None))).all()
    open_ = connection.execute(_OPEN.where(inside, flows.c.finished_at.is_(None))).all()
    then = ids[-1] if len(found) > limit else None
    return Counted(found[:limit], over, open_), then


def batch_rows(found: Counted) -> list[BatchRow]:
    """What operators see of them."""
    counts = defaultdict[int, Counter[str]](Counter)
    unfinished = Counter[int]()
    first, last = defaultdict[int, list[float]](list), defaultdict[int, list[float]](list)
    for row in (*found.over, *found.open):
        asked = getattr(row, "asked", False)
        counts[row.batch_id][CANCELLING if asked else str(row.status)] += row.number
        first[row.batch_id] += _times(row.first_at)
        last[row.batch_id] += _times(row.last_at)
    for row in found.open:
        unfinished[row.batch_id] += row.number
    return [
        BatchRow(
            id=row.id,
            name=row.name,
            created_at=row.created_at,
            counts=counts[row.id],
            unfinished=unfinished[row.id],
            first_at=min(first[row.id], default=None),
            last_at=max(last[row.id], default=None),
        )
        for row in (mended(each, batches, unsound(each, batches)) for each in found.batches)
    ]


def _times(value: object) -> list[float]:
    """The time, unless something else was put in its place."""
    return [float(value)] if isinstance(value, float | int) else []
