"""How all unfinished flows stand, at a moment from which they are then followed.

There may be 100,000 of them, nearly all of which wait. So none is opened, and those of the most
frequent status are not even listed.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from attrs import frozen
from sqlalchemy import ColumnElement, bindparam, func, select
from sqlalchemy.engine import Connection

from holdfast_journal.reading import following
from holdfast_journal.reading.following import Seen
from holdfast_journal.reading.queries import inside
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import flows


@frozen
class Standing:
    """Unfinished flows, as their rows say."""

    numbers: Mapping[tuple[str, str], int]
    """How many there are of each kind, in each status."""
    usual: str | None
    """The most frequent status; None if there are no flows."""
    others: Mapping[int, str]
    """The statuses of those that stand otherwise, and of those that were begun anew."""
    seen: Seen
    """For `poll`: what has moved since."""

    @property
    def statuses(self) -> Counter[str]:
        """How many there are in each status."""
        return _by_status(self.numbers)

    def of(self, flow: int, attempt: int) -> str | None:
        """The status of an unfinished flow then; None if it was not there, or finished."""
        was_there = flow <= self.seen.flow and attempt == 1
        return self.others.get(flow, self.usual if was_there else None)


def standing(connection: Connection, database: Database, batch: str | None) -> Standing:
    """How the flows of a batch, or all, stand now."""
    seen = following.begin(connection, database)
    chosen: ColumnElement[bool] = flows.c.finished_at.is_(None)
    if batch is not None:
        chosen &= inside(batch, indexed=False)
    numbers = {
        (str(row.kind), str(row.status)): row.number for row in connection.execute(_count(chosen))
    }
    if not numbers:
        return Standing({}, None, {}, seen)
    [(usual, _)] = _by_status(numbers).most_common(1)
    otherwise = (flows.c.status != bindparam("usual")) | (flows.c.attempt > 1)
    listed = select(flows.c.id, flows.c.status).where(chosen, otherwise)
    others = {row.id: str(row.status) for row in connection.execute(listed, {"usual": usual})}
    return Standing(numbers, usual, others, seen)


def _count(chosen: ColumnElement[bool]) -> Any:
    alike = (flows.c.kind, flows.c.status)
    return select(*alike, func.count().label("number")).where(chosen).group_by(*alike)


def _by_status(numbers: Mapping[tuple[str, str], int]) -> Counter[str]:
    found = Counter[str]()
    for (_, status), number in numbers.items():
        found[status] += number
    return found
