"""What one event leaves behind, and the SQL that writes it.

A `Commit` is one flow's share of a transaction. Group commit writes many at a time, of any flows,
with one statement for each table.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeAlias

from attrs import define, field, frozen
from sqlalchemy import Executable, bindparam, delete, insert, null, select, update
from sqlalchemy.engine import Connection

from holdfast_journal.interface import Call
from holdfast_journal.records import Snapshot, Task
from holdfast_journal.schema import entries, flows, tasks
from holdfast_journal.sealing import seal

Parameters: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


@define(eq=False)
class Lease:
    """The right to write one flow, which lasts until somebody else takes it."""

    id: int
    uid: str
    epoch: int
    worker: int
    data_key: bytes = field(repr=False)
    # What follows is for the thread that processes events, and for no other.
    pending: int = 0
    """Commits that were submitted and whose calls have not all been run."""
    lost: Exception | None = None


@frozen
class Entry:
    """One row of the history, to be written."""

    seq: int
    at: float
    kind: str
    heard: str
    said: str = field(repr=False)
    event: bytes = field(repr=False)


@frozen
class AddTask:
    """A task to be remembered."""

    task: Task


@frozen
class DeferTask:
    """A task that failed and is to be tried again."""

    number: int
    due_at: float
    attempts: int
    error: str


@frozen
class FinishTask:
    """A task that is over."""

    number: int


TaskChange: TypeAlias = AddTask | DeferTask | FinishTask


@frozen
class Statement:
    """An application's own statement."""

    statement: Executable
    parameters: Parameters = field(repr=False)


@define(eq=False)
class Commit:
    """One event's share of a transaction, and what happens afterwards."""

    lease: Lease
    base: int
    """The flow's seq before this."""
    seq: int
    """The flow's seq after this; equal to `base` if there is nothing to write."""
    at: float
    calls: Sequence[Call] = ()
    refused: Callable[[Exception], None] = lambda _: None
    snapshot: Snapshot | None = None
    published: bytes = field(default=b"", repr=False)
    finished_at: float | None = None
    entries: Sequence[Entry] = ()
    tasks: Sequence[TaskChange] = ()
    statements: Sequence[Statement] = ()

    @property
    def writes(self) -> bool:
        """Whether there is anything to write."""
        return self.seq != self.base


class FenceBroken(Exception):
    """Fewer flows were where their owners left them than were to be written."""


_OPEN = flows.update().where(
    flows.c.id == bindparam("flow"),
    flows.c.epoch == bindparam("expected_epoch"),
    flows.c.seq == bindparam("expected_seq"),
)
_MOVED: Mapping[str, Any] = {
    "seq": bindparam("new_seq"),
    "status": bindparam("new_status"),
    "updated_at": bindparam("now"),
    "finished_at": bindparam("new_finished_at"),
}
_UPDATE = {
    # (finished, shred): the statement
    (False, False): _OPEN.values(
        **_MOVED, checkpoint=bindparam("new_checkpoint"), published=bindparam("new_published")
    ),
    (True, False): _OPEN.values(
        **_MOVED,
        checkpoint=bindparam("new_checkpoint"),
        published=bindparam("new_published"),
        owner=null(),
        request=null(),
    ),
    (False, True): _OPEN.values(
        **_MOVED, checkpoint=null(), published=null(), params=null(), data_key=null()
    ),
    (True, True): _OPEN.values(
        **_MOVED,
        checkpoint=null(),
        published=null(),
        params=null(),
        data_key=null(),
        owner=null(),
        request=null(),
    ),
}
_ADD_ENTRY = insert(entries)
_ADD_TASK = insert(tasks)
_THIS_TASK = (tasks.c.flow_id == bindparam("flow"), tasks.c.number == bindparam("task"))
_DEFER_TASK = (
    update(tasks)
    .where(*_THIS_TASK)
    .values(
        due_at=bindparam("new_due_at"),
        attempts=bindparam("new_attempts"),
        error=bindparam("new_error"),
    )
)
_FINISH_TASK = delete(tasks).where(*_THIS_TASK)
_SHRED_TASKS = delete(tasks).where(tasks.c.flow_id == bindparam("flow"))

Rows: TypeAlias = list[dict[str, Any]]


@frozen
class Prepared:
    """The sealed rows of several flows' commits, ready to be written as often as it takes."""

    fences: Sequence[tuple[int, int, int]]
    """(flow, epoch, seq after) of every flow in it."""
    updates: Mapping[tuple[bool, bool], Rows]
    entries: Rows
    tasks: Sequence[tuple[Executable, Rows]]
    statements: Sequence[Statement]

    def write(self, connection: Connection) -> None:
        """Execute everything. Raises FenceBroken, or SQLAlchemy's errors."""
        for kind, rows in self.updates.items():
            if connection.execute(_UPDATE[kind], rows).rowcount != len(rows):
                raise FenceBroken
        if self.entries:
            connection.execute(_ADD_ENTRY, self.entries)
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


def prepare(groups: Iterable[Sequence[Commit]], now: float) -> Prepared:
    """Seal and arrange `groups`: each holds the commits of one flow, in order."""
    # Always in the same order, so that two workers never wait for each other's rows.
    ordered = sorted(groups, key=lambda group: group[0].lease.id)
    updates: dict[tuple[bool, bool], Rows] = {}
    for group in ordered:
        first, last = group[0], group[-1]
        snapshot = last.snapshot
        if snapshot is None:
            continue
        row = _update_row(first.lease, first.base, last, snapshot, now)
        updates.setdefault((snapshot.finished, snapshot.shred), []).append(row)
    changes: list[tuple[Executable, Rows]] = []
    flat = ((c.lease, change) for group in ordered for c in group for change in c.tasks)
    for kind, run in groupby(flat, key=lambda pair: type(pair[1])):
        changes.append((_TASK[kind], [_task_row(lease, change) for lease, change in run]))
    shredded = [row for (_, shred), rows in updates.items() if shred for row in rows]
    if shredded:
        changes.append((_SHRED_TASKS, [{"flow": row["flow"]} for row in shredded]))
    return Prepared(
        fences=[(g[-1].lease.id, g[-1].lease.epoch, g[-1].seq) for g in ordered],
        updates=updates,
        entries=[_entry_row(c.lease, e) for g in ordered for c in g for e in c.entries],
        tasks=changes,
        statements=[statement for g in ordered for c in g for statement in c.statements],
    )


def _update_row(
    lease: Lease, base: int, last: Commit, snapshot: Snapshot, now: float
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "flow": lease.id,
        "expected_epoch": lease.epoch,
        "expected_seq": base,
        "new_seq": last.seq,
        "new_status": snapshot.status,
        "now": now,
        "new_finished_at": last.finished_at,
    }
    if not snapshot.shred:
        key, uid, seq = lease.data_key, lease.uid, last.seq
        row["new_checkpoint"] = seal(key, uid, "checkpoint", seq, snapshot.checkpoint)
        row["new_published"] = seal(key, uid, "published", seq, last.published)
    return row


def _entry_row(lease: Lease, entry: Entry) -> dict[str, Any]:
    return {
        "flow_id": lease.id,
        "seq": entry.seq,
        "at": entry.at,
        "worker": lease.worker,
        "kind": entry.kind,
        "heard": entry.heard,
        "said": entry.said,
        "event": seal(lease.data_key, lease.uid, "event", entry.seq, entry.event),
    }


def _task_row(lease: Lease, change: TaskChange) -> dict[str, Any]:
    match change:
        case AddTask(task):
            return {
                "flow_id": lease.id,
                "number": task.number,
                "name": task.name,
                "arguments": seal(
                    lease.data_key, lease.uid, "arguments", task.number, task.arguments
                ),
                "key": task.key,
                "due_at": task.due_at,
                "attempts": task.attempts,
                "error": task.error,
            }
        case DeferTask(number, due_at, attempts, error):
            return {
                "flow": lease.id,
                "task": number,
                "new_due_at": due_at,
                "new_attempts": attempts,
                "new_error": error,
            }
        case FinishTask(number):
            return {"flow": lease.id, "task": number}


_TASK: Mapping[type[TaskChange], Executable] = {
    AddTask: _ADD_TASK,
    DeferTask: _DEFER_TASK,
    FinishTask: _FINISH_TASK,
}


def published_json(published: Mapping[str, object]) -> bytes:
    """How published values are kept. Raises TypeError or ValueError for what JSON cannot hold."""
    return json.dumps(published, allow_nan=False, separators=(",", ":")).encode()
