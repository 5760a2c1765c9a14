"""Writing many commits in one transaction, with few statements.

The statements that are needed most have many rows in one text, instead of being executed once a
row: the driver lets other threads run at every execution, and a busy reactor would then keep the
writer waiting some milliseconds for each row.

Events and checkpoints are sealed here too: in the writer's thread, and only the last checkpoint of
each flow.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, TypeAlias

from attrs import frozen
from sqlalchemy import bindparam, select, update
from sqlalchemy.engine import Connection

from holdfast_journal.commits.messages import COLUMN
from holdfast_journal.commits.values import AddTask, Commit, DeferTask, FinishTask, Statement
from holdfast_journal.store.dialect import Dialect, dialect_of
from holdfast_journal.store.schema import flows, tasks

Rows: TypeAlias = list[dict[str, Any]]

_ENTRY = ("flow_id", "seq", "at", "worker", "kind", "heard", "said", "event")
_ENTRIES_AT_ONCE = 64

_FLOW = {  # what _UPDATE needs of each flow, with PostgreSQL's types
    "id": "bigint",
    "epoch": "bigint",
    "base": "bigint",
    "seq": "bigint",
    "status": "text",
    "at": "double precision",
    "checkpoint": "bytea",
    "published": "bytea",
}
_UPDATE = (
    "UPDATE holdfast_flows AS flow SET seq = {seq}, status = {status}, updated_at = {at},"
    " checkpoint = {checkpoint}, published = {published}{values}"
    " WHERE flow.id {ids} AND flow.epoch = {epoch} AND flow.seq = {base}"
)
"""None of them is indexed or has a foreign key: those cost SQLite more than everything else."""
_FLOWS_AT_ONCE = 16
"""Few, because SQLite searches all flows of the statement, one by one, for each flow's values."""

_END = (
    "UPDATE holdfast_flows SET finished_at = {0}, shred_at = {0},"
    " owner = CASE WHEN {0} THEN owner END, request = CASE WHEN {0} THEN request END,"
    " params = CASE WHEN {0} THEN params END, data_key = CASE WHEN {0} THEN data_key END"
    " WHERE id = {0}"
)
"""What changes in a flow's row when it is over, beside the rest."""

_TASK = ("flow_id", "number", "name", "arguments", "key", "due_at", "attempts", "error")
_TASKS_AT_ONCE = 32
_NUMBERED = {"flow_id": "bigint", "number": "int"}

_MESSAGE = ("flow_id", "number", "body")
_MESSAGES_AT_ONCE = 64

_DEFER_TASK = (
    update(tasks)
    .where(tasks.c.flow_id == bindparam("flow"), tasks.c.number == bindparam("task"))
    .values(
        due_at=bindparam("new_due_at"),
        attempts=bindparam("new_attempts"),
        error=bindparam("new_error"),
    )
)
_OVER_AT_ONCE = 32


class FenceBroken(Exception):
    """Some of the flows to be written were not where their owners had left them."""


@frozen
class Prepared:
    """Several flows' commits, sealed and arranged by statement, ready to be written."""

    # One list of all values, not one for each row: the garbage collector would look at each list.
    flows: Sequence[Any]
    """The values of _FLOW, of one flow after the other."""
    entries: Sequence[Any]
    """The values of _ENTRY, of one entry after the other."""
    begun: Sequence[Any]
    """The values of _TASK, of one new task after the other."""
    deferred: Rows
    """What _DEFER_TASK needs."""
    finished: Sequence[Any]
    """The flow and the number of one task that is over after the other."""
    ended: list[tuple[Any, ...]]
    """The values of _END, of each flow."""
    over: Sequence[int]
    """The flows whose own tasks and messages are not needed any more."""
    messages: Sequence[Any]
    """The values of _MESSAGE, of one message after the other."""
    statements: Sequence[Statement]

    def write(self, connection: Connection) -> None:
        """Execute everything. Raises FenceBroken, or SQLAlchemy's errors."""
        written = _write(connection, _update_flows, self.flows, len(_FLOW), _FLOWS_AT_ONCE)
        if written != len(self.flows) // len(_FLOW):
            raise FenceBroken
        _write(connection, _add_entries, self.entries, len(_ENTRY), _ENTRIES_AT_ONCE)
        # Task numbers are never reused, so inserts can safely come before updates and deletes.
        _write(connection, _add_tasks, self.begun, len(_TASK), _TASKS_AT_ONCE)
        if self.deferred:
            connection.execute(_DEFER_TASK, self.deferred)
        _write(connection, _finish_tasks, self.finished, 2, _TASKS_AT_ONCE)
        if self.ended:
            dialect = dialect_of(connection)
            dialect.written(connection, ((_END.format(dialect.place), self.ended),))
        _write(connection, _add_messages, self.messages, len(_MESSAGE), _MESSAGES_AT_ONCE)
        _write(connection, _drop_tasks, self.over, 1, _OVER_AT_ONCE)
        _write(connection, _drop_messages, self.over, 1, _OVER_AT_ONCE)
        for own in self.statements:
            connection.execute(own.statement, own.parameters)

    def is_written(self, connection: Connection) -> bool:
        """Whether an earlier `write` was committed after all.

        Only we can have moved a flow to our seq under our epoch; and all of it was one transaction,
        so one flow speaks for all. If every flow has been taken over since, this says no: then the
        fence tells us, and their new owners have found what we wrote.
        """
        rows = (self.flows[at : at + len(_FLOW)] for at in range(0, len(self.flows), len(_FLOW)))
        named = [dict(zip(_FLOW, row, strict=True)) for row in rows]
        ours = {row["id"]: (row["epoch"], row["seq"]) for row in named}
        query = select(flows.c.id, flows.c.epoch, flows.c.seq).where(flows.c.id.in_(list(ours)))
        return any(ours[row.id] == (row.epoch, row.seq) for row in connection.execute(query))


def prepare(groups: Iterable[Sequence[Commit]]) -> Prepared:
    """Seal and arrange `groups`; each holds the commits of one flow, in order, that write."""
    # Always in the same order, so that two workers never wait for each other's rows.
    ordered = sorted(groups, key=lambda group: group[0].fence.id)
    rows: list[Any] = []
    entries: list[Any] = []
    begun: list[Any] = []
    deferred: Rows = []
    finished: list[Any] = []
    statements: list[Statement] = []
    ended: list[tuple[Any, ...]] = []
    over: list[int] = []
    messages: list[Any] = []
    for group in ordered:
        lease, last = group[0].fence, group[-1]
        flow, worker, epoch, seal = lease.id, lease.worker, lease.epoch, lease.sealer.seal
        for commit in group:
            for e in commit.entries:
                event = seal("event", e.seq, e.event)
                entries += (flow, e.seq, e.at, worker, e.kind, e.heard, e.said, event)
            for change in commit.tasks:
                match change:
                    case AddTask(t):
                        begun += (flow, t.number, t.name, t.arguments, t.key)
                        begun += (t.due_at, t.attempts, t.error)
                    case DeferTask(number, due_at, attempts, error):
                        again = {"new_due_at": due_at, "new_attempts": attempts, "new_error": error}
                        deferred.append({"flow": flow, "task": number, **again})
                    case FinishTask(number):
                        finished += (flow, number)
            for number, body in commit.messages:
                messages += (flow, number, seal(COLUMN, number, body))
            statements += commit.statements
            if commit.state is not None and commit.state.finished_at is not None:
                over.append(flow)  # no results are wanted any more, and a retry begins anew
        if (state := last.state) is None:
            continue
        checkpoint = state.checkpoint
        if checkpoint is not None:
            checkpoint = seal("checkpoint", last.seq, checkpoint)
        rows += (flow, epoch, group[0].base, last.seq)
        rows += (state.status, last.at, checkpoint, state.published)
        if state.finished_at is not None or state.shred or state.shred_at is not None:
            runs, readable = state.finished_at is None, not state.shred
            kept = (runs, runs, readable, readable)  # the columns that keep their values
            ended.append((state.finished_at, state.shred_at, *kept, flow))
    return Prepared(rows, entries, begun, deferred, finished, ended, over, messages, statements)


def _write(
    connection: Connection,
    text: Callable[[int, Dialect], str],
    values: Sequence[Any],
    width: int,
    most: int,
) -> int:
    """Write rows of `width` values each with `text(count, dialect)`, on SQLite `most` at once.

    Returns how many rows the database has changed.
    """
    if not values:  # as most of the lists of nearly every commit
        return 0
    dialect = dialect_of(connection)
    pieces = _in_pieces(values, width, dialect.at_once(most))
    return dialect.written(connection, ((text(count, dialect), rows) for count, rows in pieces))


def _in_pieces(
    values: Sequence[Any], width: int, most: int
) -> Iterator[tuple[int, list[tuple[Any, ...]]]]:
    """Divide rows: a count, and the values of so many rows, once or several times.

    The counts are powers of two, so that there are few statements and the driver caches them.
    """
    done, count = 0, most
    while done < len(values):
        size = count * width
        end = len(values) - (len(values) - done) % size
        if end > done:
            yield count, [tuple(values[at : at + size]) for at in range(done, end, size)]
            done = end
        count //= 2


@cache
def _update_flows(count: int, dialect: Dialect) -> str:
    return dialect.update_of(_UPDATE, _FLOW, count)


@cache
def _add_entries(count: int, dialect: Dialect) -> str:
    return _insert("holdfast_entries", _ENTRY, count, dialect)


@cache
def _add_tasks(count: int, dialect: Dialect) -> str:
    return _insert("holdfast_tasks", _TASK, count, dialect)


@cache
def _add_messages(count: int, dialect: Dialect) -> str:
    return _insert("holdfast_messages", _MESSAGE, count, dialect)


def _insert(table: str, columns: Sequence[str], count: int, dialect: Dialect) -> str:
    row = f"({', '.join([dialect.place] * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES " + ", ".join([row] * count)  # noqa: S608


@cache
def _finish_tasks(count: int, dialect: Dialect) -> str:
    return f"DELETE FROM holdfast_tasks WHERE {dialect.are_among(_NUMBERED, count)}"  # noqa: S608


@cache
def _drop_tasks(count: int, dialect: Dialect) -> str:
    return f"DELETE FROM holdfast_tasks WHERE flow_id {_in(count, dialect)} AND number > 0"  # noqa: S608


@cache
def _drop_messages(count: int, dialect: Dialect) -> str:
    return f"DELETE FROM holdfast_messages WHERE flow_id {_in(count, dialect)}"  # noqa: S608


def _in(count: int, dialect: Dialect) -> str:
    return f"IN ({', '.join([dialect.place] * count)})"
