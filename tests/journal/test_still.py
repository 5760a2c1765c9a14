"""A worker that has found nothing to do asks one question, until something is committed or due."""

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from uuid import uuid4

import pytest
from attrs import define
from sqlalchemy import insert

from holdfast_journal import Fenced, SqlJournal
from holdfast_journal.errors import DatabaseMoved
from holdfast_journal.ownership.lookout import pauses_of
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import batches
from tests.journal.conftest import Journals
from tests.journal.helpers import ManualReactor, Runner, run, start
from tests.journal.test_audit import ADA
from tests.journal.test_leases import Time, file, kinds, names, time

__all__ = ["file", "time"]


@define
class Pair:
    """A worker that has two flows, of which one is parked until 1100, and another process."""

    worker: SqlJournal
    other: SqlJournal
    ada: Runner
    bob: int
    time: Time

    def looks(self) -> None:
        """Look, as an engine does."""
        assert self.worker.requests() == []
        assert names(self.worker, suspects=True) == names(self.worker, suspects=False) == []


@pytest.fixture
def pair(file: str, journals: Journals, time: Time) -> Iterator[Pair]:
    worker, other = (journals.open(file, **time.options()) for _ in range(2))
    ada, bob = run(worker, "ada", "bob")
    worker.give_back([bob.taken.id], wake_at=1100.0)
    pair = Pair(worker, other, ada, bob.taken.id, time)
    pair.looks()
    assert worker.is_still()
    yield pair


def starts(pair: Pair) -> None:
    start(pair.other, "eve")


def is_asked(pair: Pair) -> None:
    pair.other.ask("ada", "batch", "cancel")


def parked_is_asked(pair: Pair) -> None:
    pair.other.ask("bob", "batch", "cancel")


def commits(pair: Pair) -> None:
    pair.ada.event()


def is_told_to_leave(pair: Pair) -> None:
    pair.other.drain(pair.worker.worker, act=ADA.does("drain"))


@pytest.mark.parametrize("happens", [starts, is_asked, parked_is_asked, commits, is_told_to_leave])
def test_whatever_is_committed(pair: Pair, happens: Callable[[Pair], None]) -> None:
    """Nothing else tells a worker what other processes want."""
    happens(pair)
    assert not pair.worker.is_still()


def test_time_that_passes(pair: Pair) -> None:
    """A flow becomes due although nobody commits anything."""
    for pair.time.now in range(1010, 1100, 10):
        assert pair.worker.is_still()
    [lease] = {row.lease_until for row in pair.other.serving() if row.flows}
    assert lease == 1120.0  # to renew it was not news
    pair.time.now = 1099
    assert pair.worker.is_still()
    pair.time.now = 1100
    assert not pair.worker.is_still()
    assert names(pair.worker) == ["bob"]


def test_a_watched_flow_has_a_time_too(pair: Pair) -> None:
    watcher = pair.worker.watcher("ws://server", "app")
    pair.worker.watch(watcher.id, {pair.ada.taken.id: ("mailbox", "side")})
    pair.worker.park({pair.ada.taken.id: 1009.0}, 1)
    pair.looks()
    pair.time.now = 1008
    assert pair.worker.is_still()
    pair.time.now = 1009
    assert not pair.worker.is_still()
    pair.worker.take()
    pair.worker.watch(watcher.id, {pair.ada.taken.id: ("mailbox", "side")})
    pair.worker.park({pair.ada.taken.id: None}, 1)
    pair.looks()
    pair.other.has_come(watcher.id, [("mailbox", "side")])
    assert not pair.worker.is_still()


def test_a_clock_that_is_set_back(pair: Pair) -> None:
    """Nothing is known of a time at which nobody has looked."""
    pair.time.now = 999
    assert not pair.worker.is_still()


def test_a_worker_that_dies_without_a_word(pair: Pair) -> None:
    """As long as others have flows, it is looked whether they live."""
    run(pair.other, "eve")
    pair.looks()
    assert pair.worker.is_still()
    pair.other._registration.locks.drop()
    assert not pair.worker.is_still()
    assert names(pair.worker) == ["eve"]


def test_a_lease_that_was_lost(pair: Pair) -> None:
    """The question finds out what others took meanwhile, as a whole look does."""
    pair.time.now = 1031
    assert names(pair.other) == ["ada"]
    assert not pair.worker.is_still()
    assert kinds(pair.ada.lost) == [Fenced]


def test_what_was_not_looked_for(pair: Pair) -> None:
    """It is an answer to what was asked, and to nothing else."""
    assert not pair.worker.is_still(without=[pair.bob])
    assert not pair.worker.is_still(kinds=["test"])


def test_a_request_that_was_not_answered(pair: Pair) -> None:
    pair.other.ask("ada", "batch", "cancel")
    assert pair.worker.requests() == [(pair.ada.taken.id, "cancel")]
    names(pair.worker, suspects=True), names(pair.worker, suspects=False)
    assert not pair.worker.is_still()


def test_only_where_the_database_tells(url: str, journals: Journals) -> None:
    """PostgreSQL does not count commits, and is asked each time."""
    journal = journals.open(url)
    names(journal, suspects=True), names(journal, suspects=False), journal.requests()
    assert journal.is_still() is url.startswith("sqlite")


class TestWithoutNews:
    """`Database.without_news`, by which a lease is renewed."""

    @pytest.fixture
    def two(self, file: str) -> Iterator[tuple[Database, Database]]:
        with closing(Database.open(file)) as ours, closing(Database.open(file)) as other:
            self.commit(ours)
            yield ours, other

    def commit(self, database: Database) -> None:
        with database.writing() as connection:
            connection.execute(insert(batches).values(name=uuid4().hex, created_at=0.0))

    def test_only_what_we_commit(self, two: tuple[Database, Database]) -> None:
        """To us it is as if nothing had happened, and to others it is not."""
        ours, other = two
        before = [each.data_version() for each in two]
        for _ in range(2):
            with ours.without_news():
                self.commit(ours)
        after = [each.data_version() for each in two]
        assert (after[0] == before[0], after[1] == before[1]) == (True, False)
        self.commit(other)
        assert ours.data_version() != before[0]

    @pytest.mark.parametrize("first", [True, False])
    def test_what_others_commit_meanwhile(
        self, two: tuple[Database, Database], *, first: bool
    ) -> None:
        ours, other = two
        before = ours.data_version()
        with ours.without_news():
            for each in (other, ours) if first else (ours, other):
                self.commit(each)
        assert ours.data_version() != before


class TestLookout:
    def test_looks_less_often_when_nothing_happens(self) -> None:
        """To wake a thread costs more than its look, so what is to come must be likely."""
        assert list(islice(pauses_of(0.5), 7)) == [0.5, 0.5, 0.5, 0.5, 2.0, 2.0, 2.0]

    @pytest.fixture
    def reactor(self) -> ManualReactor:
        return ManualReactor()

    @pytest.fixture
    def worker(self, file: str, journals: Journals, reactor: ManualReactor) -> SqlJournal:
        worker = journals.open(file, reactor=reactor)
        names(worker, suspects=True), names(worker, suspects=False), worker.requests()
        return worker

    def look_out(self, worker: SqlJournal) -> list[str]:
        told: list[str] = []
        assert worker.look_out(lambda: told.append("told"), every=0.001)
        return told

    def test_tells_once(
        self, file: str, worker: SqlJournal, journals: Journals, reactor: ManualReactor
    ) -> None:
        before, told = self.look_out(worker), self.look_out(worker)
        start(journals.open(file), "eve")
        reactor.until(lambda: told)
        assert names(worker, suspects=True) == worker.requests() == []
        assert names(worker, suspects=False) == ["eve"]
        again = self.look_out(worker)
        reactor.until(lambda: again)
        assert (before, told, again) == ([], ["told"], ["told"])

    def test_tells_of_what_fails(
        self, file: str, worker: SqlJournal, reactor: ManualReactor
    ) -> None:
        """Whoever looks then finds out what it is."""
        path = Path(file.removeprefix("sqlite:///"))
        path.rename(path.with_name("elsewhere"))
        told = self.look_out(worker)
        reactor.until(lambda: told)
        with pytest.raises(DatabaseMoved):
            worker.is_still()

    def test_ends_with_the_journal(self, worker: SqlJournal) -> None:
        self.look_out(worker)
        thread = worker._lookout._thread
        worker.close()
        assert not thread.is_alive()

    def test_there_is_none_without_threads(self, file: str, journals: Journals) -> None:
        assert not journals.open(file).look_out(lambda: None, every=0.5)
