"""Looking for what must not be in a journal. Nothing here writes, owns, or repairs.

Each flow is read in one transaction that sees a single moment. So `examine` never mistakes a
worker's unfinished work for damage.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Table, select
from sqlalchemy.engine import Connection

from holdfast_journal.commits import messages
from holdfast_journal.doctor.examined import Examined, OpenedEntry
from holdfast_journal.errors import Unreadable, WrongKey
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.keys.sealing import unseal
from holdfast_journal.store.database import Database
from holdfast_journal.store.many import chunks
from holdfast_journal.store.schema import DAMAGED, batches, entries, flows, tasks
from holdfast_journal.store.schema import messages as message_table
from holdfast_journal.store.trouble import RESTORE
from holdfast_journal.store.values import altered, mended, texts, unsound

EXAMINED_AT_ONCE = 20
"""Flows that are read in one transaction: their histories are in memory together."""

BACKUP = "compare it with a backup"


def examine(
    database: Database,
    keys: KeyRing,
    batch: str | None,
    name: str | None,
    counted: Callable[[int], object] = lambda _: None,
) -> Iterator[Examined]:
    """Read and check the flows of a batch, or of that name, or all; oldest first.

    `counted` is told first how many they are.
    Raises DatabaseUnusable, and SQLAlchemy's DatabaseError if the database is damaged inside.
    """
    query = select(flows.c.id).join(batches, flows.c.batch_id == batches.c.id).order_by(flows.c.id)
    if batch is not None:
        query = query.where(batches.c.name == batch)
    if name is not None:
        query = query.where(flows.c.name == name)
    with database.reading() as connection:
        ids = list(connection.scalars(query))
    counted(len(ids))
    for chunk in chunks(ids, EXAMINED_AT_ONCE):
        for row, entry_rows, task_rows, message_rows in _read(database, chunk):
            yield _examined(keys, row, entry_rows, task_rows, message_rows)


@contextmanager
def snapshot(database: Database) -> Iterator[Connection]:
    """A transaction that only reads, all of whose statements see the same moment."""
    with database.reading() as connection:
        database.dialect.begin_snapshot(connection)
        yield connection


def _read(
    database: Database, ids: Sequence[int]
) -> list[tuple[Any, list[Any], list[Any], list[Any]]]:
    """Return the rows of flows, in order; without those that were purged meanwhile."""
    query = (
        select(flows, batches.c.name.label("batch_name"))
        .join(batches, flows.c.batch_id == batches.c.id)
        .where(flows.c.id.in_(ids))
        .order_by(flows.c.id)
    )
    with snapshot(database) as connection:
        rows = connection.execute(query).all()
        found = [row.id for row in rows]
        entries_of: dict[int, list[Any]] = {flow: [] for flow in found}
        tasks_of: dict[int, list[Any]] = {flow: [] for flow in found}
        messages_of: dict[int, list[Any]] = {flow: [] for flow in found}
        for table, place, order in (
            (entries, entries_of, entries.c.seq),
            (tasks, tasks_of, tasks.c.number),
            (message_table, messages_of, message_table.c.number),
        ):
            statement = select(table).where(table.c.flow_id.in_(found)).order_by(order)
            for each in connection.execute(statement):
                place[each.flow_id].append(each)
    return [(row, entries_of[row.id], tasks_of[row.id], messages_of[row.id]) for row in rows]


def _examined(
    keys: KeyRing, row: Any, entry_rows: list[Any], task_rows: list[Any], message_rows: list[Any]
) -> Examined:
    columns = unsound(row, flows)
    bad = {
        "entries": _drop_bad(entry_rows, entries),
        "tasks": _drop_bad(task_rows, tasks),
        "messages": _drop_bad(message_rows, message_table),
    }
    row = mended(row, flows, columns) if columns else row
    flow = Examined(
        id=row.id,
        batch=row.batch_name,
        name=row.name,
        kind=row.kind,
        status=row.status,
        finished=row.finished_at is not None,
        seq=row.seq,
        shredded=row.data_key is None,
    )
    if columns:
        flow.found("row", altered(columns), RESTORE)
    for what, number in bad.items():
        if number:
            found = "1 of its rows" if number == 1 else f"{number} of its rows"
            flow.found("row", f"{found} among the {what} cannot be what was written", RESTORE)
    _check_sequence(flow, [entry.seq for entry in entry_rows])
    own = [task for task in task_rows if task.number > 0]  # the others outlive it
    _check_end(flow, len(own))
    _check_watch(flow, row)
    flow.tasks = [task.name for task in own]
    key = _data_key(flow, keys, row)
    if key is not None:
        _open(flow, key, row, entry_rows, own)
        _open_messages(flow, key, row, message_rows)
    return flow


def _check_end(flow: Examined, tasks_left: int) -> None:
    if flow.status == DAMAGED:
        flow.found(
            "damaged",
            "a worker could not read it, and ended it",
            "'holdfast log' tells what was wrong, 'holdfast retry' begins anew",
        )
    elif flow.finished and tasks_left:
        flow.found(
            "task",
            f"it is over, and {_counted(tasks_left, 'task')} of it"
            f" {'is' if tasks_left == 1 else 'are'} left",
            "no worker runs them any more, and a retry removes them",
        )


def _check_watch(flow: Examined, row: Any) -> None:
    watched = not flow.finished and row.owner is None and (row.wake_at or 0) < 0
    if watched and None in (row.watcher, row.watch, row.watch_revision):
        what = "it waits for its mailbox server to tell of something, and would not be found then"
        flow.found("watch", what, "'holdfast extend' wakes it")


def _check_sequence(flow: Examined, found: Sequence[int]) -> None:
    if flow.finished and flow.shredded and not found:
        return  # purged
    missing = sorted(set(range(1, flow.seq + 1)).difference(found))
    if missing:
        flow.found("sequence", f"{_numbers(missing)} missing from its history", BACKUP)
    extra = [seq for seq in found if not 1 <= seq <= flow.seq]
    if extra:
        what = f"{_numbers(extra)} in its history, which ends with {flow.seq}"
        flow.found("sequence", what, BACKUP)


def _data_key(flow: Examined, keys: KeyRing, row: Any) -> bytes | None:
    """Return the flow's data key; None if it was deleted, or if there is a finding about it."""
    if row.data_key is None:
        if not flow.finished:
            what = "it is not finished, and yet its data key is deleted"
            flow.found("key", what, RESTORE)
        return None
    try:
        return keys.open_data_key(row.uid, row.data_key)
    except WrongKey as error:
        flow.found("key", f"its data key does not open: {error}", "add that key to the key file")
    except Unreadable:
        flow.found("key", "its data key does not open: it was altered or moved", RESTORE)
    return None


def _open(
    flow: Examined, key: bytes, row: Any, entry_rows: Sequence[Any], task_rows: Sequence[Any]
) -> None:
    """Open everything that is sealed under the flow's data key."""

    def opened(what: str, column: str, seq: int, value: bytes, do: str = RESTORE) -> bytes | None:
        try:
            return unseal(key, row.uid, column, seq, value)
        except Unreadable:
            flow.found("seal", f"{what} not open: altered or moved", do)
            return None

    if row.params is None:
        flow.found("seal", "its parameters are missing", RESTORE)
    else:
        flow.params = opened("its parameters do", "params", 0, row.params)
    if row.checkpoint is not None:
        # If a worker found damage, it left the checkpoint as it was, under its old entry number.
        seq = next((e.seq for e in reversed(entry_rows) if e.kind != DAMAGED), row.seq)
        seq = seq if flow.status == DAMAGED else row.seq
        flow.checkpoint = opened("its checkpoint does", "checkpoint", seq, row.checkpoint)
    if row.published is not None:
        published = opened("what it shows does", "published", 0, row.published)
        flow.published = None if published is None else _json_object(flow, published)
    unreadable = []
    found = []
    for entry in entry_rows:
        event: bytes | None = b""
        if entry.kind != DAMAGED or entry.event:  # there may have been no key to seal it with
            try:
                event = unseal(key, row.uid, "event", entry.seq, entry.event)
            except Unreadable:
                event = None
                unreadable.append(entry.seq)
        found.append(OpenedEntry(entry.seq, entry.kind, texts(entry.said), event))
    flow.entries = found
    if unreadable:
        many = len(unreadable) > 1
        what = f"the {'events' if many else 'event'} of {_numbers(unreadable, verb=False)}"
        what += f" {'do' if many else 'does'} not open: altered or moved"
        flow.found("seal", what, BACKUP)
    for task in task_rows:
        what = f"the arguments of its task {task.number} do"
        opened(what, "arguments", task.number, task.arguments)


def _open_messages(flow: Examined, key: bytes, row: Any, message_rows: Sequence[Any]) -> None:
    found: dict[int, bytes] = {}
    for each in message_rows:
        try:
            found[each.number] = messages.opened(key, row.uid, each)
        except Unreadable:
            what = f"the message {each.number} that it sent does not open: altered or moved"
            flow.found("seal", what, RESTORE)
            return
    flow.messages = found


def _json_object(flow: Examined, published: bytes) -> Mapping[str, Any] | None:
    try:
        value = json.loads(published)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value
    flow.found("seal", "what it shows is not a JSON object", RESTORE)
    return None


def _drop_bad(rows: list[Any], table: Table) -> int:
    """Remove rows with values of another type than belongs there; return how many."""
    good = [row for row in rows if not unsound(row, table)]
    number = len(rows) - len(good)
    rows[:] = good
    return number


def _numbers(seqs: Sequence[int], *, verb: bool = True) -> str:
    """Name entries, runs of them together: "the entries 4 to 6 and 9 are"."""
    runs: list[list[int]] = []
    for seq in seqs:
        if runs and seq == runs[-1][1] + 1:
            runs[-1][1] = seq
        else:
            runs.append([seq, seq])
    shown = [str(a) if a == b else f"{a} to {b}" for a, b in runs[:8]]
    if len(runs) > 8:
        shown.append("more")
    names = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
    if len(seqs) == 1:
        return f"the entry {names}" + " is" * verb
    return f"the entries {names}" + " are" * verb


def _counted(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"
