"""What operators see of a journal. Nothing here writes, owns, or needs to be a worker."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve
from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.engine import Connection

from holdfast_journal.errors import NoSuchFlow, Shredded, Unreadable, WrongKey
from holdfast_journal.interface import Published
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.keys.sealing import unseal
from holdfast_journal.reading import following
from holdfast_journal.reading.following import Seen
from holdfast_journal.reading.rows import Changes, EntryRow, Event, FlowRow, Worker
from holdfast_journal.store.database import Database
from holdfast_journal.store.many import CHUNK, chunks
from holdfast_journal.store.schema import batches, entries, flows, workers
from holdfast_journal.store.values import altered, mended, texts, unsound
from holdfast_journal.workers.registration import Alive

_NOT_SHOWN = ("checkpoint", "params", "fingerprint")
# SQLAlchemy 2.0 has one parameter for the type of a row, and 2.1 one for each column.
_SHOWN: Select[Any] = (
    select(  # pyrefly: ignore[bad-assignment]
        *(c for c in flows.c if c.name not in _NOT_SHOWN),
        batches.c.name.label("batch_name"),
        workers.c.host,
        workers.c.pid,
    )
    .join(batches, flows.c.batch_id == batches.c.id)
    .outerjoin(workers, flows.c.owner == workers.c.id)
    .order_by(flows.c.id)
)


def overview(
    database: Database, keys: KeyRing, alive: Alive, batch: str | None, name: str | None
) -> list[FlowRow]:
    """The flows of a batch, or of that name, or all; in the order in which they were started."""
    with database.reading() as connection:
        if name is not None:
            rows = _rows(connection, _ids_named(connection, batch, [name]))
        else:
            rows = list(connection.execute(_of_batch(_SHOWN, batch)))
    return _flow_rows(rows, keys, alive)


def pages(
    database: Database, keys: KeyRing, alive: Alive, batch: str | None
) -> Iterator[list[FlowRow]]:
    """The flows of a batch, or all, in the order of `overview`: a few at a time, never none."""
    query = _of_batch(_SHOWN, batch).limit(CHUNK)
    last = 0
    while True:
        with database.reading() as connection:
            rows = connection.execute(query.where(flows.c.id > last)).all()
        if not rows:
            return
        last = rows[-1].id
        yield _flow_rows(rows, keys, alive)


def named(
    database: Database, keys: KeyRing, alive: Alive, batch: str, names: Collection[str]
) -> list[FlowRow]:
    """The flows of a batch that have these names, in the order in which they were started."""
    with database.reading() as connection:
        rows = _rows(connection, _ids_named(connection, batch, names))
    return _flow_rows(rows, keys, alive)


def unfinished(database: Database, keys: KeyRing, alive: Alive, batch: str | None) -> list[FlowRow]:
    """The flows of a batch, or all, that are not over, in the order in which they were started."""
    with database.reading() as connection:
        rows = _rows(connection, _ids_unfinished(connection, batch))
    return _flow_rows(rows, keys, alive)


def last_finished(
    database: Database, keys: KeyRing, alive: Alive, batch: str | None, most: int
) -> list[FlowRow]:
    """The flows of a batch, or all, that were the last to end, in the order of their start."""
    query = _FINISHED if batch is None else _FINISHED.where(_in_batch(batch))
    query = query.order_by(flows.c.finished_at.desc()).limit(most)
    with database.reading() as connection:
        rows = _rows(connection, list(connection.scalars(query)))
    return _flow_rows(rows, keys, alive)


def poll(
    database: Database,
    keys: KeyRing,
    alive: Alive,
    batch: str | None,
    names: Collection[str] | None,
    seen: Seen | None,
) -> Changes:
    """The flows that moved since `seen`; without it, those of these names, or all unfinished."""
    with database.reading() as connection:
        if seen is not None:
            moved, seen = following.moved(connection, database, seen)
        else:
            seen = following.begin(connection, database)
            if names is None:
                moved = set(_ids_unfinished(connection, batch))
            else:
                moved = set(_ids_named(connection, batch, names))
        rows = _rows(connection, moved)
    # What moved is looked at in every batch, to find its seq.
    seqs = {**seen.seqs, **{row.id: following.seq_of(row.seq) for row in rows}}
    rows = [row for row in rows if batch in (None, row.batch_name)]
    return Changes(rows=_flow_rows(rows, keys, alive), seen=evolve(seen, seqs=seqs))


def counts(
    database: Database, batch: str | None, *, finished: bool | None = None
) -> Mapping[str, int]:
    """How many flows have each status; only of those that are over, or are not, if so asked."""
    # Two searches, of which each has an index.
    over = {True: flows.c.finished_at.is_not(None), False: flows.c.finished_at.is_(None)}
    found: Counter[str] = Counter()
    with database.reading() as connection:
        for each in (True, False) if finished is None else (finished,):
            query = select(flows.c.status, func.count().label("n")).where(over[each])
            if batch is not None:
                query = query.where(_in_batch(batch) if each else _in_batch(batch, indexed=False))
            for row in connection.execute(query.group_by(flows.c.status)):
                found[row.status] += row.n
    return found


def notices(database: Database, alive: Alive) -> list[tuple[int, str]]:
    """What workers that are alive have to say: (worker, words)."""
    query = select(workers.c.id, workers.c.notice).where(workers.c.notice.is_not(None))
    with database.reading() as connection:
        rows = connection.execute(query.order_by(workers.c.id)).all()
    living = alive([row.id for row in rows])
    return [(row.id, str(row.notice)) for row in rows if row.id in living]


def history(database: Database, flow: int) -> list[EntryRow]:
    """What happened to a flow, in order. Raises NoSuchFlow."""
    shown = (each for each in entries.c if each.name not in ("id", "event"))
    query = select(*shown).where(entries.c.flow_id == flow).order_by(entries.c.seq)
    with database.reading() as connection:
        _flow(connection, flow)
        return [
            EntryRow(row.seq, row.at, row.worker, row.kind, row.heard, texts(row.said))
            for row in (_sound_entry(each) for each in connection.execute(query))
        ]


def events(database: Database, keys: KeyRing, flow: int) -> list[Event]:
    """The recorded events of a flow, opened. Raises NoSuchFlow, Shredded, Unreadable, WrongKey."""
    query = select(entries).where(entries.c.flow_id == flow).order_by(entries.c.seq)
    with database.reading() as connection:
        row = _flow(connection, flow)
        if row.data_key is None:
            raise Shredded(f"the key of flow {row.name!r} was deleted when it ended")
        key = keys.open_data_key(row.uid, row.data_key)
        return [
            Event(e.seq, e.kind, unseal(key, row.uid, "event", e.seq, e.event))
            for e in connection.execute(query)
        ]


def all_workers(database: Database, alive: Alive) -> list[Worker]:
    """Every worker there ever was, oldest first."""
    with database.reading() as connection:
        rows = connection.execute(select(workers).order_by(workers.c.id)).all()
    living = alive([row.id for row in rows])
    return [
        Worker(row.id, row.host, row.pid, row.started_at, row.id in living)
        for row in (mended(each, workers, unsound(each, workers)) for each in rows)
    ]


def _sound_entry(row: Any) -> Any:
    """What can be shown of an entry, even if somebody altered it."""
    columns = [name for name in unsound(row, entries) if name not in ("id", "event")]
    if not columns:
        return row
    found = mended(row, entries, columns)
    found.heard = f"journal: this entry was altered: {altered(columns)}"
    return found


_UNFINISHED = select(flows.c.id).where(flows.c.finished_at.is_(None))
_FINISHED = select(flows.c.id).where(flows.c.finished_at.is_not(None))


def _in_batch(batch: str, *, indexed: bool = True) -> ColumnElement[bool]:
    """Whether a flow is in a batch; not `indexed` where another index leads to fewer flows."""
    named = select(batches.c.id).where(batches.c.name == batch).scalar_subquery()
    return (flows.c.batch_id if indexed else flows.c.batch_id + 0) == named


def _ids_unfinished(connection: Connection, batch: str | None) -> Sequence[int]:
    query = _UNFINISHED if batch is None else _UNFINISHED.where(_in_batch(batch, indexed=False))
    return list(connection.scalars(query))


def _ids_named(connection: Connection, batch: str | None, names: Collection[str]) -> list[int]:
    # A name has an index with its batch only; there are few of those.
    all_batches = select(batches.c.id)
    inside = all_batches if batch is None else all_batches.where(batches.c.name == batch)
    query = select(flows.c.id).where(flows.c.batch_id.in_(inside))
    return [
        flow
        for chunk in chunks(names)
        for flow in connection.scalars(query.where(flows.c.name.in_(chunk)))
    ]


def _rows(connection: Connection, ids: Collection[int]) -> list[Any]:
    """What is shown of these flows, in the order in which they were started."""
    return [
        row
        for chunk in chunks(sorted(ids))
        for row in connection.execute(_SHOWN.where(flows.c.id.in_(chunk)))
    ]


def _of_batch(query: Select[Any], batch: str | None) -> Select[Any]:
    return query if batch is None else query.where(batches.c.name == batch)


def _flow(connection: Connection, flow: int) -> Any:
    query = select(flows.c.uid, flows.c.name, flows.c.data_key).where(flows.c.id == flow)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NoSuchFlow(f"there is no flow {flow}")
    return row


def _flow_rows(rows: Sequence[Any], keys: KeyRing, alive: Alive) -> list[FlowRow]:
    bad = {number: columns for number, row in enumerate(rows) if (columns := _bad(row))}
    rows = [mended(row, flows, bad[n]) if n in bad else row for n, row in enumerate(rows)]
    owners = {row.owner for row in rows if row.owner is not None}
    living = alive(owners) if owners else ()
    return [
        FlowRow(
            id=row.id,
            uid=row.uid,
            batch=row.batch_name,
            name=row.name,
            kind=row.kind,
            status=row.status,
            published=_published(row, keys) if n not in bad else {"reason": altered(bad[n])},
            created_at=row.created_at,
            updated_at=row.updated_at,
            finished_at=row.finished_at,
            attempt=row.attempt,
            seq=row.seq,
            request=row.request,
            owner=row.owner,
            owner_host=row.host,
            owner_pid=row.pid,
            owner_alive=None if row.owner is None else row.owner in living,
            wake_at=row.wake_at,
            failures=row.failures,
            trouble=row.trouble,
            deaths=row.deaths or 0,
        )
        for n, row in enumerate(rows)
    ]


def _bad(row: Any) -> Sequence[str]:
    return [name for name in unsound(row, flows) if name not in _NOT_SHOWN]


def _published(row: Any, keys: KeyRing) -> Published | None:
    """What the flow shows; one row that was altered must not hide all the others."""
    if row.data_key is None or row.published is None:
        return None
    try:
        key = keys.open_data_key(row.uid, row.data_key)
        found = json.loads(unseal(key, row.uid, "published", 0, row.published))
    except (Unreadable, WrongKey) as error:
        return {"reason": str(error)}
    except (ValueError, RecursionError):
        found = None
    shown: Published = found if isinstance(found, dict) else {"reason": "what it shows is not JSON"}
    return shown
