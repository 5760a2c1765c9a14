"""Writing acts down. Each function belongs into the transaction that does what is written.

`act` may be None: then a program acts that is not an operator's tool, and nothing is written.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, insert, literal, select
from sqlalchemy.engine import Connection

from holdfast_journal.auditing.acts import Act
from holdfast_journal.store.many import chunks
from holdfast_journal.store.schema import audit, batches, flows


def record(connection: Connection, act: Act | None, now: float) -> None:
    """Write down an act that is not done to flows, or to so many that they are only counted."""
    if act is not None:
        connection.execute(insert(audit).values(_said(act, now)))


def record_flows(connection: Connection, act: Act | None, ids: Collection[int], now: float) -> None:
    """Write down an act for each of these flows."""
    for chunk in chunks(ids if act is not None else ()):
        _copy(connection, act, flows.c.id.in_(chunk), now)


def record_names(
    connection: Connection, act: Act | None, batch_id: int, names: Collection[str], now: float
) -> None:
    """Write down an act for each of the flows of a batch that have these names."""
    for chunk in chunks(names if act is not None else ()):
        _copy(connection, act, (flows.c.batch_id == batch_id) & flows.c.name.in_(chunk), now)


def _copy(connection: Connection, act: Act | None, which: ColumnElement[bool], now: float) -> None:
    if act is None:
        return
    said = _said(act, now)
    copied = {"flow_uid": flows.c.uid, "name": flows.c.name, "batch": batches.c.name}
    values: list[Any] = [*(literal(each) for each in said.values()), *copied.values()]
    query = select(*values).join_from(flows, batches, flows.c.batch_id == batches.c.id)
    query = query.where(which).order_by(flows.c.id)
    connection.execute(insert(audit).from_select([*said, *copied], query))


def _said(act: Act, now: float) -> dict[str, object]:
    actor = act.actor
    return {
        "at": now,
        "who": actor.who,
        "origin": actor.origin,
        "face": actor.face,
        "action": act.action,
        "detail": act.detail,
        "why": actor.why,
    }
