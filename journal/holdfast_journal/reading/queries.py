"""Which flows are to be shown: searches that an index answers, however many flows there are."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.engine import Connection

from holdfast_journal.errors import NoSuchFlow
from holdfast_journal.store.many import chunks
from holdfast_journal.store.schema import batches, flows, workers

NOT_SHOWN = ("checkpoint", "params", "fingerprint", "watcher", "watch", "watch_revision")
"""Columns of a flow's row that are never shown."""

SEALED = ("published", "data_key")
"""Columns of a flow's row that are shown once they are opened."""

# SQLAlchemy 2.0 has one parameter for the type of a row, and 2.1 one for each column.
SHOWN: Select[Any] = (
    select(  # pyrefly: ignore[bad-assignment]
        *(c for c in flows.c if c.name not in NOT_SHOWN),
        batches.c.name.label("batch_name"),
        workers.c.host,
        workers.c.pid,
    )
    .join(batches, flows.c.batch_id == batches.c.id)
    .outerjoin(workers, flows.c.owner == workers.c.id)
    .order_by(flows.c.id)
)
"""The rows of flows, for `shown.flow_rows`, in the order in which they were started."""

PLAIN: Select[Any] = SHOWN.with_only_columns(  # pyrefly: ignore[bad-assignment]
    *(each for each in SHOWN.selected_columns if each.key not in SEALED)
)
"""`SHOWN` without what is sealed."""

UNFINISHED = select(flows.c.id).where(flows.c.finished_at.is_(None))
FINISHED = select(flows.c.id).where(flows.c.finished_at.is_not(None))


def inside(batch: str, *, indexed: bool = True) -> ColumnElement[bool]:
    """Whether a flow is in a batch; not `indexed` if another index leads to fewer flows."""
    named = select(batches.c.id).where(batches.c.name == batch).scalar_subquery()
    return (flows.c.batch_id if indexed else flows.c.batch_id + 0) == named


def of_batch(query: Select[Any], batch: str | None) -> Select[Any]:
    """Those of `SHOWN` that are in a batch, if one is named."""
    return query if batch is None else query.where(batches.c.name == batch)


def ids_unfinished(connection: Connection, batch: str | None) -> Sequence[int]:
    """The flows of a batch, or all, that are not over."""
    query = UNFINISHED if batch is None else UNFINISHED.where(inside(batch, indexed=False))
    return list(connection.scalars(query))


def ids_named(connection: Connection, batch: str | None, names: Collection[str]) -> list[int]:
    """The flows of a batch, or of all, that have these names."""
    # A name has an index with its batch only; there are few of those.
    all_batches = select(batches.c.id)
    where = all_batches if batch is None else all_batches.where(batches.c.name == batch)
    query = select(flows.c.id).where(flows.c.batch_id.in_(where))
    return [
        flow
        for chunk in chunks(names)
        for flow in connection.scalars(query.where(flows.c.name.in_(chunk)))
    ]


def rows(connection: Connection, ids: Collection[int], *, opens: bool = True) -> list[Any]:
    """What is shown of these flows, in the order in which they were started."""
    query = SHOWN if opens else PLAIN
    return [
        row
        for chunk in chunks(sorted(ids))
        for row in connection.execute(query.where(flows.c.id.in_(chunk)))
    ]


def flow(connection: Connection, flow_id: int) -> Any:
    """The uid, name and data key of a flow. Raises NoSuchFlow."""
    query = select(flows.c.uid, flows.c.name, flows.c.data_key).where(flows.c.id == flow_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NoSuchFlow(f"there is no flow {flow_id}")
    return row
