"""Pages of flows in an order: each begins behind the last flow of the one before.

A page costs what its rows cost and one search for them, wherever it lies: the search begins at a
key (the place of a flow in the order, and its id), and not at a count of rows to be left out.

An order has parts, one behind the other, and each part is a search of its own. So "trouble first"
needs no key that is computed for every flow, and a page that is full asks nothing of later parts.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from attrs import frozen
from sqlalchemy import ColumnElement, select, true, tuple_
from sqlalchemy.engine import Connection

from holdfast_journal.reading.filtering import SINCE, Filter
from holdfast_journal.reading.rows import FlowRow
from holdfast_journal.statuses import FlowStatus
from holdfast_journal.store.dialect import dialect_of
from holdfast_journal.store.schema import flows


class Sort(StrEnum):
    """In which order flows are shown."""

    TROUBLE = "trouble"
    """Those in trouble first, then the others that are not over, then those that are done, then the
    rest; among themselves, what moved last comes first."""
    CHANGED = "changed"
    """What moved or ended last comes first."""
    NAME = "name"
    """By name, code point by code point."""
    STARTED = "started"
    """In the order in which they were started."""


@frozen
class Cursor:
    """Where a page ended: hand it over to get the next one."""

    part: int
    key: float | str
    id: int


@frozen
class Page:
    """Some flows, in order."""

    rows: Sequence[FlowRow]
    then: Cursor | None
    """Where the next page begins; None if this is the last one."""


@frozen
class _Part:
    where: ColumnElement[bool]
    key: ColumnElement[Any]
    descending: bool


_OPEN = flows.c.finished_at.is_(None)
_OVER = flows.c.finished_at.is_not(None)
_BAD = flows.c.status.in_([status.value for status in FlowStatus if status.went_badly])
_DONE = flows.c.status == FlowStatus.DONE.value
_STUCK = flows.c.trouble.is_not(None)
"""Its own code raised, or it could not be loaded."""

_ORDERS: Final[Mapping[Sort, Sequence[_Part]]] = {
    Sort.TROUBLE: (
        _Part(_OPEN & _STUCK, flows.c.updated_at, descending=True),
        _Part(_OVER & _BAD, flows.c.finished_at, descending=True),
        _Part(_OPEN & ~_STUCK, flows.c.updated_at, descending=True),
        _Part(_OVER & _DONE, flows.c.finished_at, descending=True),
        _Part(_OVER & ~_BAD & ~_DONE, flows.c.finished_at, descending=True),
    ),
    Sort.CHANGED: (_Part(true(), SINCE, descending=True),),
    Sort.NAME: (_Part(true(), flows.c.name, descending=False),),
    Sort.STARTED: (_Part(true(), flows.c.id, descending=False),),
}


def find(
    connection: Connection, chosen: Filter, sort: Sort, limit: int, after: Cursor | None
) -> tuple[list[int], Cursor | None]:
    """The ids of at most `limit` flows behind `after`, in order, and where the next page begins."""
    dialect = dialect_of(connection)
    found: list[Cursor] = []
    for number, part in enumerate(_ORDERS[sort]):
        if after is not None and number < after.part:
            continue
        query = _search(part, after if after is not None and number == after.part else None)
        query = query.where(chosen.condition(dialect)).limit(limit + 1 - len(found))
        rows = connection.execute(query, chosen.parameters(dialect))
        found += [Cursor(number, row.key, row.id) for row in rows]
        if len(found) > limit:
            return [each.id for each in found[:limit]], found[limit - 1]
    return [each.id for each in found], None


def _search(part: _Part, after: Cursor | None) -> Any:
    key, flow = part.key.label("key"), flows.c.id
    query = select(flow, key).where(part.where)
    if after is not None:
        place, last = tuple_(part.key, flow), tuple_(after.key, after.id)
        query = query.where(place < last if part.descending else place > last)
    order = (part.key.desc(), flow.desc()) if part.descending else (part.key, flow)
    return query.order_by(*order)
