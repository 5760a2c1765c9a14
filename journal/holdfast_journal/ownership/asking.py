"""Asking something of many flows, whichever workers run them.

Each transaction is small, and asking the same thing again changes nothing: a command that was
killed in between is simply started again.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.engine import Connection

from holdfast_journal.auditing.acts import Act
from holdfast_journal.auditing.recording import record_flows
from holdfast_journal.errors import Unreadable, WrongKey
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.keys.sealing import seal, unseal
from holdfast_journal.statuses import CANCEL
from holdfast_journal.store.database import Database
from holdfast_journal.store.many import chunks
from holdfast_journal.store.schema import flows

AT_ONCE = 200
"""Flows in one transaction: workers on SQLite wait for its end."""


def ask(
    database: Database, ids: Collection[int], request: str, now: float, act: Act | None
) -> Iterator[set[int]]:
    """Ask this of flows, some in each transaction; give those that are not over."""
    for chunk in chunks(sorted(ids), AT_ONCE):
        with database.writing_in_turn() as connection:
            found = ask_some(connection, chunk, request, now, act)
        yield found


def ask_some(
    connection: Connection, ids: Sequence[int], request: str, now: float, act: Act | None
) -> set[int]:
    """Ask this of a few flows; return those that are not over."""
    statement = update(flows).where(flows.c.id.in_(ids), flows.c.finished_at.is_(None))
    asked = connection.scalars(statement.values(request=request).returning(flows.c.id))
    found = set(asked)
    record_flows(connection, act, sorted(found), now)
    return found


_NEEDED = select(
    *(
        flows.c[name]
        for name in ("id", "uid", "finished_at", "owner", "request", "params", "data_key")
    ),
    flows.c.checkpoint.is_not(None).label("has_begun"),
)
_CHANGE = (
    update(flows)
    .where(flows.c.id == bindparam("flow"))
    .values(params=bindparam("sealed"), request=bindparam("asked"))
)


def change(
    database: Database,
    keys: KeyRing,
    ids: Collection[int],
    make: Callable[[bytes], bytes],
    request: str,
    now: float,
    act: Act | None,
) -> Iterator[Mapping[int, str | None]]:
    """Change the parameters of flows, and ask their workers to heed that.

    Whoever begins a flow, or begins it anew, reads its parameters; whoever runs it is asked. Gives,
    for some flows in each transaction, None or why it was not done. `make` raises ValueError, in
    words that follow the name of the flow, for parameters that it cannot change.
    """
    for chunk in chunks(sorted(ids), AT_ONCE):
        with database.writing_in_turn() as connection:
            found = change_some(connection, database, keys, chunk, make, request, now, act)
        yield found


def change_some(
    connection: Connection,
    database: Database,
    keys: KeyRing,
    ids: Sequence[int],
    make: Callable[[bytes], bytes],
    request: str,
    now: float,
    act: Act | None,
) -> Mapping[int, str | None]:
    """Change the parameters of a few flows; return for each None, or why that was not done."""
    query = database.dialect.locked(_NEEDED.where(flows.c.id.in_(ids)).order_by(flows.c.id))
    found: dict[int, str | None] = {}
    changed: list[dict[str, Any]] = []
    for row in connection.execute(query).all():
        try:
            sealed = _changed(keys, row, make)
        except (Unreadable, WrongKey) as error:
            found[row.id] = f"cannot be read: {error}"
            continue
        except ValueError as error:
            found[row.id] = str(error)
            continue
        runs = row.finished_at is None and (row.has_begun or row.owner is not None)
        asked = request if runs else row.request
        changed.append({"flow": row.id, "sealed": sealed, "asked": asked})
        found[row.id] = None
    if changed:
        connection.execute(_CHANGE, changed)
        record_flows(connection, act, [each["flow"] for each in changed], now)
    return found


def _changed(keys: KeyRing, row: Any, make: Callable[[bytes], bytes]) -> bytes:
    if row.data_key is None or row.params is None:
        raise ValueError("has no parameters any more: they were shredded or purged")
    if row.request == CANCEL:
        raise ValueError("was asked to end")
    key = keys.open_data_key(row.uid, row.data_key)
    return seal(key, row.uid, "params", 0, make(unseal(key, row.uid, "params", 0, row.params)))


def answered(database: Database, done: Collection[tuple[int, str]]) -> None:
    """Forget these requests, which were heeded: (flow id, request). A newer one stays."""
    statement = (
        update(flows)
        .where(flows.c.id == bindparam("flow"), flows.c.request == bindparam("asked"))
        .values(request=None)
    )
    with database.writing() as connection:
        connection.execute(statement, [{"flow": flow, "asked": asked} for flow, asked in done])
