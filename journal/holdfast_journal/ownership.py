"""Who runs which flow: taking flows, giving them back, and what others ask of their owner."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from attrs import field, frozen
from sqlalchemy import ColumnElement, insert, or_, select, update
from sqlalchemy.engine import Connection

from holdfast_journal.database import Database
from holdfast_journal.errors import Unreadable
from holdfast_journal.records import Task
from holdfast_journal.schema import batches, entries, flows, tasks
from holdfast_journal.sealing import KeyRing, unseal
from holdfast_journal.workers import Locks

_T = TypeVar("_T")

DAMAGED = "damaged"
"""The status of a flow whose saved state cannot be read."""

CHUNK = 500
"""Values in one IN (...): every database takes this many."""


def chunks(values: Iterable[_T], size: int = CHUNK) -> Iterator[list[_T]]:
    """Cut `values` into lists of at most `size`."""
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk


@frozen
class Wanted:
    """Which flows to take; None stands for any."""

    batch: str | None = None
    names: Collection[str] | None = None
    ids: Collection[int] | None = None
    kinds: Collection[str] | None = None
    limit: int | None = None


@frozen
class Taken:
    """A flow just taken, opened."""

    row: Any
    """Its row as it was before, with the batch's name as `batch_name`."""
    epoch: int
    data_key: bytes = field(repr=False)
    params: bytes = field(repr=False)
    checkpoint: bytes | None = field(repr=False)
    tasks: Sequence[Task]


def take(
    database: Database,
    keys: KeyRing,
    locks: Locks,
    worker: int,
    running: Collection[int],
    wanted: Wanted,
    now: float,
) -> list[Taken]:
    """Take unfinished flows that nobody alive owns, oldest first, in one transaction.

    Flows that `worker` owns already count as free unless they are in `running`. One that cannot be
    read is ended as DAMAGED, with everything that is left of it.
    Raises WrongKey; then nothing is taken.
    """
    free = _free(database, locks, worker)
    candidates = _candidates(database, free, running, wanted)
    taken: list[Taken] = []
    if not candidates:
        return taken  # the usual answer to a worker that looks around costs no write lock
    with database.writing() as connection:
        for chunk in chunks(candidates):
            rows = _lock(connection, database, free, chunk)
            if wanted.limit is not None:
                rows = rows[: wanted.limit - len(taken)]
            if not rows:
                continue
            ids = [row.id for row in rows]
            open_tasks = _open_tasks(connection, ids)
            for row in rows:
                try:
                    taken.append(_opened(keys, row, open_tasks.get(row.id, ())))
                except Unreadable as error:
                    _end_damaged(connection, row, worker, now, str(error))
                    ids.remove(row.id)
            connection.execute(
                update(flows)
                .where(flows.c.id.in_(ids))
                .values(owner=worker, epoch=flows.c.epoch + 1)
            )
    return taken


def give_back(database: Database, worker: int, ids: Collection[int]) -> None:
    """Let others take the flows at once."""
    with database.writing() as connection:
        for chunk in chunks(sorted(ids)):
            connection.execute(
                update(flows)
                .where(flows.c.id.in_(chunk), flows.c.owner == worker)
                .values(owner=None)
            )


def requests(database: Database, worker: int) -> list[tuple[int, str]]:
    """What was asked of unfinished flows that `worker` owns: (flow id, request)."""
    query = select(flows.c.id, flows.c.request).where(
        flows.c.owner == worker, flows.c.request.is_not(None), flows.c.finished_at.is_(None)
    )
    with database.reading() as connection:
        return [(row.id, row.request) for row in connection.execute(query)]


def _free(database: Database, locks: Locks, worker: int) -> ColumnElement[bool]:
    unfinished = flows.c.finished_at.is_(None)
    query = select(flows.c.owner).where(unfinished, flows.c.owner.is_not(None)).distinct()
    with database.reading() as connection:
        owners = set(connection.scalars(query)) - {worker}
    # Who dies after this is noticed the next time; who is dead stays dead.
    dead = [owner for owner in owners if not locks.is_alive(owner)]
    return unfinished & or_(flows.c.owner.is_(None), flows.c.owner.in_([worker, *dead]))


def _candidates(
    database: Database, free: ColumnElement[bool], running: Collection[int], wanted: Wanted
) -> list[int]:
    query = select(flows.c.id).where(free)
    if wanted.batch is not None:
        query = query.join(batches, flows.c.batch_id == batches.c.id)
        query = query.where(batches.c.name == wanted.batch)
    if wanted.kinds is not None:
        query = query.where(flows.c.kind.in_(wanted.kinds))
    queries = [query]
    if wanted.ids is not None:
        queries = [query.where(flows.c.id.in_(chunk)) for chunk in chunks(sorted(wanted.ids))]
    elif wanted.names is not None:
        queries = [query.where(flows.c.name.in_(chunk)) for chunk in chunks(wanted.names)]
    with database.reading() as connection:
        found = {flow for query in queries for flow in connection.scalars(query)}
    return sorted(found.difference(running))


def _lock(
    connection: Connection, database: Database, free: ColumnElement[bool], ids: Sequence[int]
) -> Sequence[Any]:
    query = (
        select(flows, batches.c.name.label("batch_name"))
        .join(batches, flows.c.batch_id == batches.c.id)
        .where(flows.c.id.in_(ids), free)
        .order_by(flows.c.id)
    )
    if database.is_postgresql:
        # Several workers may take at once: each gets rows that no other is taking.
        query = query.with_for_update(of=flows, skip_locked=True)
    return connection.execute(query).all()


def _open_tasks(connection: Connection, ids: Sequence[int]) -> Mapping[int, list[Any]]:
    query = select(tasks).where(tasks.c.flow_id.in_(ids)).order_by(tasks.c.number)
    found: dict[int, list[Any]] = {}
    for row in connection.execute(query):
        found.setdefault(row.flow_id, []).append(row)
    return found


def _end_damaged(connection: Connection, row: Any, worker: int, now: float, why: str) -> None:
    """One row that was altered must not keep a worker from all the others."""
    seq = row.seq + 1
    connection.execute(
        insert(entries).values(
            flow_id=row.id,
            seq=seq,
            at=now,
            worker=worker,
            kind="damaged",
            heard=f"journal: {why}",
            said="[]",
            event=b"",  # there may be no key to seal it with
        )
    )
    connection.execute(
        update(flows)
        .where(flows.c.id == row.id)
        .values(
            status=DAMAGED,
            seq=seq,
            epoch=row.epoch + 1,
            owner=None,
            updated_at=now,
            finished_at=now,
        )
    )


def _opened(keys: KeyRing, row: Any, task_rows: Sequence[Any]) -> Taken:
    if row.data_key is None or row.params is None:
        raise Unreadable(f"flow {row.name!r} is not finished, and yet its key is deleted")
    key = keys.open_data_key(row.uid, row.data_key)
    checkpoint = row.checkpoint
    if checkpoint is not None:
        checkpoint = unseal(key, row.uid, "checkpoint", row.seq, checkpoint)
    return Taken(
        row=row,
        epoch=row.epoch + 1,
        data_key=key,
        params=unseal(key, row.uid, "params", 0, row.params),
        checkpoint=checkpoint,
        tasks=[
            Task(
                number=task.number,
                name=task.name,
                arguments=unseal(key, row.uid, "arguments", task.number, task.arguments),
                key=task.key,
                due_at=task.due_at,
                attempts=task.attempts,
                error=task.error,
            )
            for task in task_rows
        ],
    )
