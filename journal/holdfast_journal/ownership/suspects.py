"""Flows that end the process that runs them, and how to tell them from those that were only there.

If a worker dies, its flows still name it as their owner; the worker that takes one then counts that
death. A flow that outlives its beginning in a process is cleared, and so is one that is given back.
So the count is of deaths in a row, each soon after the flow was taken.

From some count on a flow is a suspect. Suspects are taken if no other flow was taken just before.
They come in waves, which are the smaller the more deaths they have seen: a wave that survives is
cleared, and one that does not is divided, until a flow is alone. Only a flow that ended process
after process alone is to blame; of a thousand that merely waited while their worker was killed,
none is.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import and_, bindparam, case, func, update
from sqlalchemy.engine import Connection

from holdfast_journal.store.schema import flows

SUSPECT = 2
"""Deaths, counted before the last one, from which a flow is a suspect."""

LARGEST_WAVE = 256
"""Suspects taken together after the fewest deaths; a quarter of that for each further death."""

ALONE = 7
"""The count from which a wave is one flow. A flow that is alone by chance gets this count too."""

MOST_DEATHS = 12
"""The count at which a flow is to be blamed: it was alone at the last five."""


def counted(worker: Any) -> Any:
    """The value of `deaths` for a flow that `worker` takes, by the row before that."""
    died = and_(flows.c.owner.is_not(None), flows.c.owner != worker)
    return case((died, func.coalesce(flows.c.deaths, 0) + 1), else_=flows.c.deaths)


def deaths_of(row: Any, worker: int) -> int:
    """The same, of a row that was read."""
    return (row.deaths or 0) + (row.owner is not None and row.owner != worker)


def wave(rows: Sequence[Any], worker: int) -> list[Any]:
    """Those of these suspects that may be tried together."""
    least = min((deaths_of(row, worker) for row in rows), default=0)
    size = max(1, LARGEST_WAVE >> 2 * max(0, least - SUSPECT - 1))
    return [row for row in rows if deaths_of(row, worker) == least][:size]


_LIFT = (
    update(flows)
    .where(flows.c.id == bindparam("flow"), flows.c.deaths < ALONE)
    .values(deaths=ALONE)
)


def mark_alone(connection: Connection, flow: int) -> None:
    """A suspect was taken, and no other."""
    connection.execute(_LIFT, {"flow": flow})


def clear(connection: Connection, worker: int, ids: Collection[int]) -> None:
    """These flows have outlived their beginning."""
    connection.execute(
        update(flows)
        .where(flows.c.id.in_(ids), flows.c.owner == worker, flows.c.deaths.is_not(None))
        .values(deaths=None)
    )
