"""Writing many commits in one transaction, with one statement for each table.

The two statements that every commit needs have all their rows in one text, instead of being
executed once a row: the driver lets other threads run at every execution, and a busy reactor would
then keep the writer waiting some milliseconds for every single row.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any, TypeAlias

from attrs import frozen
from sqlalchemy import Executable, bindparam, delete, insert, select, update
from sqlalchemy.engine import Connection

from holdfast_journal.commits import (
    AddTask,
    Commit,
    DeferTask,
    FinishTask,
    Lease,
    State,
    Statement,
    TaskChange,
)
from holdfast_journal.schema import flows, tasks

Rows: TypeAlias = list[dict[str, Any]]

_ENTRY = ("flow_id", "seq", "at", "worker", "kind", "heard", "said", "event")

_FLOW = {  # the columns of the values that _UPDATE joins, with PostgreSQL's types
    "id": "bigint",
    "epoch": "bigint",
    "base": "bigint",
    "seq": "bigint",
    "status": "text",
    "at": "double precision",
    "finished_at": "double precision",
    "shred": "boolean",
    "shred_at": "double precision",
    "checkpoint": "bytea",
    "published": "bytea",
}
_UPDATE = """
UPDATE holdfast_flows AS flow SET
    seq = {seq}, status = {status}, updated_at = {at}, finished_at = {finished_at},
    checkpoint = {checkpoint}, published = {published},
    params = CASE WHEN {shred} THEN NULL ELSE params END,
    data_key = CASE WHEN {shred} THEN NULL ELSE data_key END,
    shred_at = {shred_at},
    owner = CASE WHEN {finished_at} IS NULL THEN owner END,
    request = CASE WHEN {finished_at} IS NULL THEN request END
FROM (VALUES %s) AS v
WHERE flow.id = {id} AND flow.epoch = {epoch} AND flow.seq = {base}
""".format(**{name: f"v.column{number}" for number, name in enumerate(_FLOW, 1)})

_THIS_TASK = (tasks.c.flow_id == bindparam("flow"), tasks.c.number == bindparam("task"))
_CHANGE_TASK: Mapping[type[TaskChange], Executable] = {
    AddTask: insert(tasks),
    DeferTask: update(tasks)
    .where(*_THIS_TASK)
    .values(
        due_at=bindparam("new_due_at"),
        attempts=bindparam("new_attempts"),
        error=bindparam("new_error"),
    ),
    FinishTask: delete(tasks).where(*_THIS_TASK),
}
_DROP_TASKS = delete(tasks).where(tasks.c.flow_id == bindparam("flow"))


class FenceBroken(Exception):
    """Fewer flows were where their owners left them than were to be written."""


@frozen
class Prepared:
    """Several flows' commits, arranged by statement, ready to be written as often as it takes."""

    fences: Sequence[tuple[int, int, int]]
    """(flow, epoch, seq after) of every flow in it."""
    flows: Sequence[object]
    """The values of _FLOW, one row after the other."""
    entries: Sequence[object]
    """The values of _ENTRY, one row after the other."""
    tasks: Sequence[tuple[Executable, Rows]]
    statements: Sequence[Statement]

    def write(self, connection: Connection) -> None:
        """Execute everything. Raises FenceBroken, or SQLAlchemy's errors."""
        postgresql = connection.dialect.name == "postgresql"
        update = _update_flows(len(self.fences), postgresql)
        if connection.exec_driver_sql(update, tuple(self.flows)).rowcount != len(self.fences):
            raise FenceBroken
        if self.entries:
            add = _add_entries(len(self.entries) // len(_ENTRY), postgresql)
            connection.exec_driver_sql(add, tuple(self.entries))
        for statement, rows in self.tasks:
            connection.execute(statement, rows)
        for own in self.statements:
            connection.execute(own.statement, own.parameters)

    def is_written(self, connection: Connection) -> bool:
        """Whether an earlier `write` was committed after all.

        Nobody but us can have moved a flow to our seq under our epoch; and all of it was one
        transaction, so that one flow speaks for all. If every flow has been taken over since, this
        says no: then the fence tells us, and their new owners have found what we wrote.
        """
        ours = {flow: (epoch, seq) for flow, epoch, seq in self.fences}
        query = select(flows.c.id, flows.c.epoch, flows.c.seq).where(flows.c.id.in_(list(ours)))
        return any(ours[row.id] == (row.epoch, row.seq) for row in connection.execute(query))


def prepare(groups: Iterable[Sequence[Commit]]) -> Prepared:
    """Arrange `groups`; each holds the commits of one flow, in order."""
    # Always in the same order, so that two workers never wait for each other's rows.
    ordered = sorted(groups, key=lambda group: group[0].lease.id)
    rows: list[object] = []
    for group in ordered:
        last = group[-1]
        if last.state is not None:
            rows += _flow_row(last.lease, group[0].base, last, last.state)
    commits = [commit for group in ordered for commit in group]
    changes = [(commit.lease.id, change) for commit in commits for change in commit.tasks]
    arranged: list[tuple[Executable, Rows]] = [
        (_CHANGE_TASK[kind], [_task_row(flow, change) for flow, change in run])
        for kind, run in groupby(changes, key=lambda pair: type(pair[1]))
    ]
    over = [c.lease.id for c in commits if c.state is not None and c.state.finished_at is not None]
    if over:
        # Nobody will ask for their results, and a retry begins anew.
        arranged.append((_DROP_TASKS, [{"flow": flow} for flow in over]))
    return Prepared(
        fences=[(g[-1].lease.id, g[-1].lease.epoch, g[-1].seq) for g in ordered],
        flows=rows,
        entries=[
            value
            for c in commits
            for e in c.entries
            for value in (
                c.lease.id,
                e.seq,
                e.at,
                c.lease.worker,
                e.kind,
                e.heard,
                e.said,
                e.event,
            )
        ],
        tasks=arranged,
        statements=[statement for c in commits for statement in c.statements],
    )


def _flow_row(lease: Lease, base: int, last: Commit, state: State) -> tuple[object, ...]:
    return (
        lease.id,
        lease.epoch,
        base,
        last.seq,
        state.status,
        last.at,
        state.finished_at,
        state.shred,
        state.shred_at,
        state.checkpoint,
        state.published,
    )


def _task_row(flow: int, change: TaskChange) -> dict[str, Any]:
    match change:
        case AddTask(task):
            return {
                "flow_id": flow,
                "number": task.number,
                "name": task.name,
                "arguments": task.arguments,
                "key": task.key,
                "due_at": task.due_at,
                "attempts": task.attempts,
                "error": task.error,
            }
        case DeferTask(number, due_at, attempts, error):
            return {
                "flow": flow,
                "task": number,
                "new_due_at": due_at,
                "new_attempts": attempts,
                "new_error": error,
            }
        case FinishTask(number):
            return {"flow": flow, "task": number}


@cache
def _update_flows(count: int, postgresql: bool) -> str:
    places = [f"%s::{kind}" if postgresql else "?" for kind in _FLOW.values()]
    return _UPDATE % ", ".join([f"({', '.join(places)})"] * count)


@cache
def _add_entries(count: int, postgresql: bool) -> str:
    places = ", ".join(["%s" if postgresql else "?"] * len(_ENTRY))
    columns = ", ".join(_ENTRY)
    return f"INSERT INTO holdfast_entries ({columns}) VALUES " + ", ".join([f"({places})"] * count)  # noqa: S608
