"""Putting finished flows back to their beginning: one, or a plan of many.

A plan is written down before any of it is done: which flows, and which attempt of each. It is then
carried out in small transactions, each of which also takes its flows off the plan. So whoever
continues it after a process was killed does what is left, and nothing twice: a flow that was
retried and failed again meanwhile is not on the plan any more, and one that somebody else retried
is at another attempt.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from attrs import frozen
from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from holdfast_journal.auditing.acts import Act
from holdfast_journal.auditing.recording import record_flows
from holdfast_journal.commits import messages
from holdfast_journal.errors import NoSuchFlow, NotRetryable, Unreadable, WrongKey
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.keys.sealing import seal
from holdfast_journal.ownership.watching import NO_WATCH
from holdfast_journal.store.database import Database
from holdfast_journal.store.many import chunks
from holdfast_journal.store.schema import DONE, NEW, entries, flows, plans, tasks
from holdfast_journal.store.values import altered, is_number

AT_ONCE = 100
"""Flows that are retried in one transaction: workers on SQLite wait for its end."""


@frozen
class Retried:
    """What became of a flow that was to be retried."""

    id: int
    attempt: int
    """The attempt that begins, or that stays."""
    why_not: str | None = None
    """Why it was not retried, in words that follow its name."""


_NEEDED = select(
    *(
        flows.c[name]
        for name in (
            *("id", "uid", "name", "status", "finished_at", "shred_at", "data_key"),
            *("attempt", "seq", "epoch"),
        )
    ),
    flows.c.params.is_not(None).label("has_params"),
)


def retry(
    database: Database,
    keys: KeyRing,
    flow: int,
    now: float,
    *,
    done: Collection[str] = (DONE,),
    act: Act | None = None,
) -> None:
    """Put one flow back, unless its status is one of `done`.

    Raises NotRetryable, NoSuchFlow, WrongKey.
    """
    query = database.dialect.locked(_NEEDED.where(flows.c.id == flow))
    with database.writing() as connection:
        row = connection.execute(query).one_or_none()
        if row is None:
            raise NoSuchFlow(f"there is no flow {flow}")
        if (why := _why_not(row, done)) is not None:
            raise NotRetryable(f"{row.name!r} {why}")
        _begin_anew(connection, [(row, keys.open_data_key(row.uid, row.data_key))], now, act)


def plan(database: Database, name: str, attempts: Mapping[int, int], now: float) -> None:
    """Write down that these flows are to be retried: (flow id, the attempt that is over)."""
    # The other is a process that has just planned the same.
    with suppress(IntegrityError), database.writing() as connection:
        write_plan(connection, database, name, attempts, now)


def write_plan(
    connection: Connection,
    database: Database,
    name: str,
    attempts: Mapping[int, int],
    now: float,
) -> None:
    """Write a plan down, by the driver itself: others wait, and SQLAlchemy takes twice as long."""
    if not attempts:
        return
    values = ", ".join([database.dialect.place] * 4)
    text = f"INSERT INTO {plans.name} (plan, flow_id, attempt, planned_at) VALUES ({values})"  # noqa: S608
    rows = [(name, flow, attempt, now) for flow, attempt in attempts.items()]
    connection.exec_driver_sql(text, rows)


def planned(database: Database, name: str) -> tuple[int, float | None]:
    """How many flows are left of a plan, and when it was made."""
    query = select(func.count(), func.min(plans.c.planned_at)).where(plans.c.plan == name)
    with database.reading() as connection:
        left, since = connection.execute(query).one()
    return left, since


def carry_out(
    database: Database,
    keys: KeyRing,
    name: str,
    now: float,
    *,
    done: Collection[str] = (DONE,),
    act: Act | None = None,
) -> Iterator[list[Retried]]:
    """Retry what is left of a plan, some flows in each transaction, and tell what became of them.

    Several processes may do so at once. Raises DatabaseUnusable; what was told is durable.
    """
    while True:
        with database.writing_in_turn() as connection:
            steps = next_steps(connection, database, name)
            if not steps:
                return
            found = retry_some(connection, database, keys, steps, now, done, act)
            take_off(connection, name, steps)
        yield found


def retry_some(
    connection: Connection,
    database: Database,
    keys: KeyRing,
    steps: Mapping[int, int],
    now: float,
    done: Collection[str],
    act: Act | None,
) -> list[Retried]:
    """Put these flows back, of each the attempt that is meant; tell what became of all."""
    begun, found = _sort_out(connection, database, keys, steps, done)
    if begun:
        _begin_anew(connection, begun, now, act)
    return found


def take_off(connection: Connection, name: str, steps: Collection[int]) -> None:
    """Take these flows off a plan, in the transaction in which they are done."""
    over = delete(plans).where(plans.c.plan == name, plans.c.flow_id.in_(steps))
    connection.execute(over)


def next_steps(connection: Connection, database: Database, name: str) -> dict[int, int]:
    """The next flows of a plan, and the attempt of each that is meant: those of one transaction."""
    query = (
        select(plans.c.flow_id, plans.c.attempt)
        .where(plans.c.plan == name)
        .order_by(plans.c.flow_id)
        .limit(AT_ONCE)
    )
    rows = connection.execute(database.dialect.locked(query, skip=True))
    return {row.flow_id: row.attempt for row in rows}


def _sort_out(
    connection: Connection,
    database: Database,
    keys: KeyRing,
    steps: Mapping[int, int],
    done: Collection[str],
) -> tuple[list[tuple[Any, bytes]], list[Retried]]:
    """The flows that are to be put back, with their data keys; and what becomes of all."""
    query = database.dialect.locked(_NEEDED.where(flows.c.id.in_(steps)).order_by(flows.c.id))
    begun, found = [], []
    for row in connection.execute(query).all():
        why, attempt = _why_not(row, done), row.attempt
        if not is_number(attempt):  # it may be anything
            why, attempt = f"cannot be read: {altered(['attempt'])}", steps[row.id]
        elif attempt != steps[row.id]:
            why = "was retried already"
        if why is None:
            try:
                begun.append((row, keys.open_data_key(row.uid, row.data_key)))
            except (Unreadable, WrongKey) as error:
                why = f"cannot be read: {error}"
        found.append(Retried(row.id, attempt + (why is None), why))
    gone = steps.keys() - {each.id for each in found}
    return begun, [*found, *(Retried(flow, steps[flow], "was purged") for flow in gone)]


def _why_not(row: Any, done: Collection[str]) -> str | None:
    """Why a flow cannot be put back, or None."""
    if row.finished_at is None:
        return f"is still under way ({row.status})"
    if row.status in done:
        return f"went well ({row.status}); there is nothing to retry"
    if row.shred_at is not None:
        return f"is over ({row.status}), and only kept to be read"
    if row.data_key is None or not row.has_params:
        return "has no parameters any more: they were shredded or purged"
    return None


_BACK = (
    update(flows)
    .where(flows.c.id == bindparam("flow"))
    .values(
        status=NEW,
        updated_at=bindparam("now"),
        finished_at=None,
        attempt=bindparam("next_attempt"),
        epoch=flows.c.epoch + 1,
        owner=None,
        seq=bindparam("next_seq"),
        request=None,
        wake_at=None,
        failures=0,
        failed_at=None,
        trouble=None,
        deaths=None,
        checkpoint=None,
        published=bindparam("nothing"),
        **NO_WATCH,
    )
)


def _begin_anew(
    connection: Connection, some: Sequence[tuple[Any, bytes]], now: float, act: Act | None
) -> None:
    """Put flows back: their rows and data keys."""
    ids = [row.id for row, _ in some]
    record_flows(connection, act, ids, now)
    for chunk in chunks(ids):
        connection.execute(delete(tasks).where(tasks.c.flow_id.in_(chunk), tasks.c.number > 0))
        messages.drop(connection, chunk)
    connection.execute(
        insert(entries),
        [
            {
                "flow_id": row.id,
                "seq": row.seq + 1,
                "at": now,
                "worker": None,
                "kind": "retried",
                "heard": f"retried after {row.status}, attempt {row.attempt + 1}",
                "said": "[]",
                "event": seal(key, row.uid, "event", row.seq + 1, b""),
            }
            for row, key in some
        ],
    )
    connection.execute(
        _BACK,
        [
            {
                "flow": row.id,
                "now": now,
                "next_attempt": row.attempt + 1,
                "next_seq": row.seq + 1,
                "nothing": seal(key, row.uid, "published", 0, b"{}"),
            }
            for row, key in some
        ],
    )
