"""Tasks that are not over: those tried most often first, page by page.

A task that is over has no row. The flows behind a page are read without what is sealed.
"""

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any

from attrs import field, frozen
from sqlalchemy import ColumnElement, and_, case, func, select, true, tuple_
from sqlalchemy.engine import Connection

from holdfast_journal.reading.filtering import Filter
from holdfast_journal.reading.rows import FlowRow
from holdfast_journal.statuses import INTERRUPTED
from holdfast_journal.store.dialect import dialect_of
from holdfast_journal.store.schema import flows, tasks
from holdfast_journal.store.values import mended, unsound


class TaskState(StrEnum):
    """How a task stands."""

    FAILING = "failing"
    """Its last try failed, and it will be tried again."""
    RUNNING = "running"
    """A try has begun. If no worker runs its flow, that worker has ended during the try."""
    PENDING = "pending"
    """It was not tried yet."""


@frozen
class TaskFilter:
    """Which tasks are meant: those for which everything holds that is said. None says nothing.

    Args:
        flows: whose tasks.
        names: the names of tasks.
        states: how they stand.
    """

    flows: Filter = field(factory=Filter)
    names: Collection[str] | None = None
    states: Collection[TaskState] | None = None


@frozen
class TaskRow:
    """A task as operators see it; its arguments stay sealed."""

    id: int
    flow: FlowRow
    """Whose it is, without what it publishes."""
    number: int
    """Which of the tasks that its flow has asked for."""
    name: str
    attempts: int
    """How many tries were begun."""
    state: TaskState
    error: str
    """Why the last try failed; "" if none has."""
    due_at: float
    """The next try, in seconds since the epoch."""
    key: str
    """The idempotency key, the same at every try."""


@frozen
class TaskCursor:
    """Where a page ended: hand it over to get the next one."""

    tried: int
    """The number of tries, negative: the search goes upwards."""
    due_at: float
    id: int


@frozen
class TaskPage:
    """Some tasks: those tried most often first, and among them those that are due first."""

    rows: Sequence[TaskRow]
    then: TaskCursor | None
    """Where the next page begins; None if this is the last one."""


@frozen
class TaskGroup:
    """Tasks that stand alike."""

    name: str
    state: TaskState
    number: int
    """How many they are."""


_STATE: ColumnElement[str] = case(
    (tasks.c.error == INTERRUPTED, TaskState.RUNNING.value),
    (tasks.c.error != "", TaskState.FAILING.value),
    else_=TaskState.PENDING.value,
)
_TRIED: ColumnElement[int] = -tasks.c.attempts
_SHOWN = [each for each in tasks.c if each.name != "arguments"]


def find(
    connection: Connection, chosen: TaskFilter, limit: int, after: TaskCursor | None
) -> tuple[list[Any], TaskCursor | None]:
    """At most `limit` rows behind `after`, and where the next page begins."""
    order = tuple_(_TRIED, tasks.c.due_at, tasks.c.id)
    columns = (*_SHOWN, _STATE.label("state"), _TRIED.label("tried"))
    query = select(*columns).join(flows, tasks.c.flow_id == flows.c.id)
    query = query.where(_condition(connection, chosen))
    if after is not None:
        query = query.where(order > tuple_(after.tried, after.due_at, after.id))
    query = query.order_by(_TRIED, tasks.c.due_at, tasks.c.id).limit(limit + 1)
    found = list(connection.execute(query, _parameters(connection, chosen)))
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    return found[:limit], TaskCursor(last.tried, last.due_at, last.id)


def count(connection: Connection, chosen: TaskFilter) -> list[TaskGroup]:
    """How many of them stand how."""
    state = _STATE.label("state")
    query = select(tasks.c.name, state, func.count().label("number"))
    query = query.join(flows, tasks.c.flow_id == flows.c.id)
    query = query.where(_condition(connection, chosen)).group_by(tasks.c.name, state)
    rows = connection.execute(query, _parameters(connection, chosen))
    return [TaskGroup(str(row.name), TaskState(row.state), row.number) for row in rows]


def task_rows(rows: Sequence[Any], found: Sequence[FlowRow]) -> list[TaskRow]:
    """What operators see of the rows that were found, given their flows."""
    by_id = {row.id: row for row in found}
    return [
        TaskRow(
            id=row.id,
            flow=by_id[row.flow_id],
            number=row.number,
            name=row.name,
            attempts=row.attempts,
            state=TaskState(row.state),
            error="" if row.error == INTERRUPTED else row.error,
            due_at=row.due_at,
            key=row.key,
        )
        for row in (mended(each, tasks, unsound(each, tasks)) for each in rows)
        if row.flow_id in by_id
    ]


def _condition(connection: Connection, chosen: TaskFilter) -> ColumnElement[bool]:
    said: list[ColumnElement[bool]] = [true(), chosen.flows.condition(dialect_of(connection))]
    if chosen.names is not None:
        said.append(tasks.c.name.in_(chosen.names))
    if chosen.states is not None:
        said.append(_STATE.in_([each.value for each in chosen.states]))
    return and_(*said)


def _parameters(connection: Connection, chosen: TaskFilter) -> Mapping[str, object]:
    return chosen.flows.parameters(dialect_of(connection))
