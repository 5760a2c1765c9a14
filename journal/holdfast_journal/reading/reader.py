"""`Reader`: what operators see of a journal. It writes and owns nothing, and is not a worker."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from attrs import define, evolve, field
from sqlalchemy import Select, func, select

from holdfast_journal.errors import NoSuchFlow, Shredded
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.keys.sealing import unseal
from holdfast_journal.reading import (
    audits,
    batches,
    counting,
    following,
    paging,
    queries,
    serving,
    tasks,
)
from holdfast_journal.reading.audits import Deed, Deeds
from holdfast_journal.reading.batches import BatchPage
from holdfast_journal.reading.counting import Group
from holdfast_journal.reading.filtering import Filter
from holdfast_journal.reading.following import Seen
from holdfast_journal.reading.paging import Cursor, Page, Sort
from holdfast_journal.reading.rows import Changes, EntryRow, Event, FlowRow, HistoryPage, Worker
from holdfast_journal.reading.serving import WorkerPage, WorkerRow
from holdfast_journal.reading.shown import entry_row, flow_rows
from holdfast_journal.reading.standing import Standing, standing
from holdfast_journal.reading.tasks import TaskCursor, TaskFilter, TaskGroup, TaskPage
from holdfast_journal.store.database import Database
from holdfast_journal.store.many import CHUNK
from holdfast_journal.store.schema import entries, flows, workers
from holdfast_journal.store.values import is_number, mended, unsound
from holdfast_journal.workers.registration import Alive

_SAVED = ("uid", "name", "seq", "data_key", "params", "checkpoint")


def _entries_of(flow_id: int) -> Select[Any]:
    shown = (each for each in entries.c if each.name not in ("id", "event"))
    query: Select[Any] = select(*shown)  # pyrefly: ignore[bad-assignment]
    return query.where(entries.c.flow_id == flow_id).order_by(entries.c.seq)


@define(eq=False)
class Reader:
    """A journal as its operators see it. Every method raises DatabaseUnusable."""

    _database: Database
    _keys: KeyRing = field(repr=False)
    _alive: Alive = field(repr=False)
    _clock: Callable[[], float]
    """Seconds since the epoch, by this machine's clock."""

    @property
    def name(self) -> str:
        """The database's URL for people, its password hidden."""
        return self._database.name

    def overview(self, batch: str | None = None, name: str | None = None) -> list[FlowRow]:
        """The flows of a batch, or of that name, or all, in the order in which they were started.

        Raises Unreadable, WrongKey.
        """
        with self._database.reading() as connection:
            if name is not None:
                rows = queries.rows(connection, queries.ids_named(connection, batch, [name]))
            else:
                rows = list(connection.execute(queries.of_batch(queries.SHOWN, batch)))
        return flow_rows(rows, self._keys, self._alive)

    def page(
        self,
        chosen: Filter,
        sort: Sort = Sort.STARTED,
        *,
        limit: int = CHUNK,
        after: Cursor | None = None,
        opens: bool = False,
    ) -> Page:
        """At most `limit` flows of a filter, in order, behind the page that ended with `after`.

        What they publish is opened only if that is asked for. Raises Unreadable, WrongKey.
        """
        with self._database.reading() as connection:
            ids, then = paging.find(connection, chosen, sort, limit, after)
            rows = queries.rows(connection, ids, opens=opens)
        shown = flow_rows(rows, self._keys if opens else None, self._alive)
        place = {flow: number for number, flow in enumerate(ids)}
        return Page(sorted(shown, key=lambda row: place[row.id]), then)

    def groups(self, chosen: Filter) -> list[Group]:
        """How many flows of a filter stand how."""
        # Two searches, each with an index of its own.
        with self._database.reading() as connection:
            over = counting.finished(connection, chosen) if chosen.finished is not False else []
            rows = counting.unfinished(connection, chosen) if chosen.finished is not True else ()
        return [*over, *counting.of_workers(rows, self._alive)]

    def named(self, batch: str, names: Collection[str]) -> list[FlowRow]:
        """The flows of a batch that have these names, whatever else is in it."""
        with self._database.reading() as connection:
            rows = queries.rows(connection, queries.ids_named(connection, batch, names))
        return flow_rows(rows, self._keys, self._alive)

    def unfinished(self, batch: str | None = None) -> list[FlowRow]:
        """The flows of a batch, or all, that are not over; the cost depends on these alone."""
        with self._database.reading() as connection:
            rows = queries.rows(connection, queries.ids_unfinished(connection, batch))
        return flow_rows(rows, self._keys, self._alive)

    def standing(self, batch: str | None = None) -> Standing:
        """How the flows of a batch, or all, stand that are not over; opens none of them."""
        with self._database.reading() as connection:
            return standing(connection, self._database, batch)

    def data_version(self) -> int | None:
        """A number that stays the same as long as nothing is committed; None if it is not known."""
        return self._database.data_version()

    def poll(
        self,
        batch: str | None = None,
        seen: Seen | None = None,
        *,
        names: Collection[str] | None = None,
    ) -> Changes:
        """The flows that moved since the `poll` that returned `seen`.

        Without it, all of the batch that have these `names`; if none are given, the unfinished.
        Raises Unreadable, WrongKey.
        """
        with self._database.reading() as connection:
            if seen is not None:
                moved, seen = following.moved(connection, self._database, seen)
            else:
                seen = following.begin(connection, self._database)
                if names is None:
                    moved = set(queries.ids_unfinished(connection, batch))
                else:
                    moved = set(queries.ids_named(connection, batch, names))
            rows = queries.rows(connection, moved)
        # What moved is looked at in every batch, to find its seq.
        seqs = {**seen.seqs, **{row.id: following.seq_of(row.seq) for row in rows}}
        rows = [row for row in rows if batch in (None, row.batch_name)]
        return Changes(rows=flow_rows(rows, self._keys, self._alive), seen=evolve(seen, seqs=seqs))

    def moved(self, seen: Seen | None) -> tuple[Collection[int], Seen]:
        """The ids of the flows that moved since the call that returned `seen`; opens nothing.

        Without it, none, and how far the journal is now.
        """
        with self._database.reading() as connection:
            if seen is None:
                return (), following.begin(connection, self._database)
            return following.moved(connection, self._database, seen)

    def counts(
        self, batch: str | None = None, *, finished: bool | None = None
    ) -> Mapping[str, int]:
        """How many flows have each status; if asked, only of those that are over, or are not."""
        # Two searches, each with an index of its own.
        over = {True: flows.c.finished_at.is_not(None), False: flows.c.finished_at.is_(None)}
        found: Counter[str] = Counter()
        with self._database.reading() as connection:
            for each in (True, False) if finished is None else (finished,):
                query = select(flows.c.status, func.count().label("n")).where(over[each])
                if batch is not None:
                    query = query.where(queries.inside(batch, indexed=each))
                for row in connection.execute(query.group_by(flows.c.status)):
                    found[row.status] += row.n
        return found

    def open_tasks(self) -> Mapping[str, int]:
        """How many tasks of each name are not over."""
        with self._database.reading() as connection:
            return counting.open_tasks(connection)

    def last_heard(self, kind: str, *, most: int = 5) -> Mapping[str, int]:
        """How many unfinished flows have an entry of that kind as their last, by what it says.

        Only the `most` frequent are returned.
        """
        with self._database.reading() as connection:
            return counting.last_heard(connection, kind, most)

    def notices(self) -> list[tuple[int, str]]:
        """What workers that are alive have to say, in words: (worker, words)."""
        query = select(workers.c.id, workers.c.notice).where(workers.c.notice.is_not(None))
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(workers.c.id)).all()
        living = self._alive([row.id for row in rows])
        return [(row.id, str(row.notice)) for row in rows if row.id in living]

    def audit(self, meant: Deeds, *, limit: int = CHUNK) -> Sequence[Deed]:
        """What operators have done, the newest first."""
        with self._database.reading() as connection:
            return audits.find(connection, meant, limit)

    def tasks(
        self,
        chosen: TaskFilter,
        *,
        limit: int = CHUNK,
        after: TaskCursor | None = None,
    ) -> TaskPage:
        """At most `limit` tasks that are not over, behind the page that ended with `after`."""
        with self._database.reading() as connection:
            found, then = tasks.find(connection, chosen, limit, after)
            rows = queries.rows(connection, {row.flow_id for row in found}, opens=False)
        return TaskPage(tasks.task_rows(found, flow_rows(rows, None, self._alive)), then)

    def task_groups(self, chosen: TaskFilter) -> list[TaskGroup]:
        """How many tasks of a filter stand how."""
        with self._database.reading() as connection:
            return tasks.count(connection, chosen)

    def batches(
        self, *, name: str | None = None, limit: int = CHUNK, after: int | None = None
    ) -> BatchPage:
        """At most `limit` batches, or the one of that name; those that began last come first."""
        with self._database.reading() as connection:
            found, then = batches.find(connection, name, limit, after)
        return BatchPage(batches.batch_rows(found), then)

    def serving(self) -> list[WorkerRow]:
        """The workers that are alive, and those that are gone and still have flows.

        Those that began last come first.
        """
        with self._database.reading() as connection:
            found = serving.serving(connection, self._database, self._clock())
        rows = serving.worker_rows(found, self._alive)
        return [row for row in rows if row.alive or row.flows]

    def worker_page(self, *, limit: int = CHUNK, after: int | None = None) -> WorkerPage:
        """At most `limit` of all workers that there ever were; those that began last come first."""
        with self._database.reading() as connection:
            found, then = serving.page(connection, limit, after)
        return WorkerPage(serving.worker_rows(found, self._alive), then)

    def history(self, flow_id: int) -> list[EntryRow]:
        """What happened to a flow, in order, without secrets. Raises NoSuchFlow."""
        with self._database.reading() as connection:
            queries.flow(connection, flow_id)
            return [entry_row(each) for each in connection.execute(_entries_of(flow_id))]

    def history_page(self, flow_id: int, *, after: int = 0, limit: int = CHUNK) -> HistoryPage:
        """At most `limit` entries of a flow behind the one numbered `after`, without secrets.

        Raises NoSuchFlow.
        """
        query = _entries_of(flow_id).where(entries.c.seq > after).limit(limit + 1)
        with self._database.reading() as connection:
            queries.flow(connection, flow_id)
            found = list(connection.execute(query))
        last = found[limit - 1].seq if len(found) > limit else None
        # SQLite sorts what is not a number behind all numbers, and keeps it in any column.
        then = last if is_number(last) else None
        return HistoryPage([entry_row(each) for each in found[:limit]], then)

    def events(self, flow_id: int) -> list[Event]:
        """The recorded events of a flow, opened: they hold secrets.

        Raises NoSuchFlow, Shredded, Unreadable, WrongKey.
        """
        query = select(entries).where(entries.c.flow_id == flow_id).order_by(entries.c.seq)
        with self._database.reading() as connection:
            row = queries.flow(connection, flow_id)
            if row.data_key is None:
                raise Shredded(f"the key of flow {row.name!r} was deleted when it ended")
            key = self._keys.open_data_key(row.uid, row.data_key)
            return [
                Event(e.seq, e.kind, unseal(key, row.uid, "event", e.seq, e.event))
                for e in connection.execute(query)
            ]

    def saved(self, flow_id: int) -> tuple[bytes, bytes | None]:
        """A flow's parameters and its checkpoint, opened: they hold secrets.

        The checkpoint is None before the first event. Raises NoSuchFlow, Shredded, Unreadable,
        WrongKey.
        """
        columns = (flows.c[name] for name in _SAVED)
        with self._database.reading() as connection:
            row = connection.execute(select(*columns).where(flows.c.id == flow_id)).one_or_none()
        if row is None:
            raise NoSuchFlow(f"there is no flow {flow_id}")
        if row.data_key is None or row.params is None:
            raise Shredded(f"the key of flow {row.name!r} was deleted when it ended")
        key = self._keys.open_data_key(row.uid, row.data_key)
        checkpoint = row.checkpoint
        if checkpoint is not None:
            checkpoint = unseal(key, row.uid, "checkpoint", row.seq, checkpoint)
        return unseal(key, row.uid, "params", 0, row.params), checkpoint

    def workers(self) -> list[Worker]:
        """Every process that ever ran flows of this database, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(workers).order_by(workers.c.id)).all()
        living = self._alive([row.id for row in rows])
        return [
            Worker(row.id, row.host, row.pid, row.started_at, row.id in living)
            for row in (mended(each, workers, unsound(each, workers)) for each in rows)
        ]
