"""What a journal of many flows promises, whether in a file, in PostgreSQL or in memory.

`test_interface` has what every journal promises, also one that keeps nothing.
"""

import random
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from attrs import define, field
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    Table,
    delete,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateTable

from holdfast_journal import (
    CommitFailed,
    Fenced,
    JournalError,
    KeyRing,
    NewFlow,
    SqlJournal,
    TakenFlow,
)
from holdfast_journal.store.schema import entries, flows, tasks
from tests.journal.conftest import Journals
from tests.journal.helpers import ManualReactor, Runner, at_commit, at_once, locked
from tests.journal.postgres import Server

orders = Table("orders", MetaData(), Column("number", Integer, primary_key=True))


@define
class Place:
    """A database, and the journals that this test has opened in it."""

    batch: str
    """That of this test: some databases serve for many."""
    url: str
    journals: Journals
    memory: SqlJournal | None = None
    """The one journal of a database in memory: nobody else can be there."""

    def open(self, reactor: ManualReactor | None = None) -> SqlJournal:
        """Open a journal; or another, where there can be another."""
        return self.memory or self.journals.open(self.url, reactor=reactor)

    def start(self, journal: SqlJournal, *names: str) -> None:
        """Start flows in the batch of this test."""
        new = [NewFlow(name, "test", f"params of {name}".encode()) for name in names]
        journal.start_flows(self.batch, new)

    def take(self, journal: SqlJournal, limit: int | None = None) -> list[TakenFlow]:
        """Take what is free in the batch of this test."""
        return journal.take(batch=self.batch, limit=limit)

    def run(self, journal: SqlJournal, *names: str) -> list[Runner]:
        """Start flows, take them, and return their runners, in order."""
        self.start(journal, *names)
        taken = {flow.name: flow for flow in journal.take(batch=self.batch, names=names)}
        return [Runner(taken[name]) for name in names]


@pytest.fixture(scope="module")
def in_memory() -> Iterator[SqlJournal]:
    journal = SqlJournal.open_inline("sqlite://", keys=KeyRing.random())
    yield journal
    journal.close()


@pytest.fixture(scope="module")
def database(postgres: Server, upgraded: str) -> tuple[str, KeyRing]:
    return postgres.database(upgraded), KeyRing.random()


@pytest.fixture(params=["file", "postgresql", "memory"])
def place(request: pytest.FixtureRequest, folder: Path, journals: Journals) -> Place:
    batch = request.node.name
    match request.param:
        case "file":
            shutil.copy(request.getfixturevalue("upgraded_file"), folder / "journal.db")
            return Place(batch, f"sqlite:///{folder}/journal.db", journals)
        case "postgresql":
            url, journals.keys = request.getfixturevalue("database")
            return Place(batch, url, journals)
        case _:
            return Place(batch, "sqlite://", journals, request.getfixturevalue("in_memory"))


@define
class Orders:
    """A table of the application's own, in the same database."""

    journal: SqlJournal
    ours: list[int] = field(factory=lambda: random.sample(range(1_000_000), 3))

    def __attrs_post_init__(self) -> None:
        with self.journal._database.writing() as connection:
            statement = CreateTable(orders, if_not_exists=True)
            connection.execute(statement)

    def there(self) -> list[int]:
        """Which of our numbers are in it, in order."""
        query = select(orders.c.number).where(orders.c.number.in_(self.ours))
        with self.journal._database.reading() as connection:
            found = set(connection.scalars(query))
        return [number for number in self.ours if number in found]


def seqs(journal: SqlJournal, runner: Runner) -> list[int]:
    return [row.seq for row in journal.history(runner.taken.id)]


def texts(journal: SqlJournal, runner: Runner) -> list[str]:
    return [row.heard for row in journal.history(runner.taken.id)]


def add_everything(runner: Runner, number: int) -> None:
    """All that an event can leave behind, and a call; inside a block."""
    flow = runner.taken.journal
    runner.events += 1
    flow.record("message", heard="one of two", said=["this"], event=b"1")
    flow.execute(insert(orders), {"number": number})
    flow.add_task(number, "mint", b"user=ada", f"key {number}", 5.0)
    flow.record("message", heard="two of two", said=[], event=b"2")
    flow.queue_outbound(runner.released.append, number)


class TestContract:
    # Atomicity.

    def test_an_event_is_all_there(self, place: Place) -> None:
        """Entries, state, task and the application's statement are there when its calls run."""
        journal, other = place.open(), place.open()
        own = Orders(journal)
        (ada,) = place.run(journal, "ada")
        seen: list[object] = []

        def look() -> None:
            (row,) = other.overview(place.batch)
            seen.extend([texts(other, ada), own.there(), row.status, row.seq, row.published])

        with ada.taken.journal.process():
            add_everything(ada, own.ours[0])
            ada.status, ada.published = "exchanging", {"code": "4-x"}
            ada.taken.journal.queue_outbound(look)
        state = ["exchanging", 2, {"code": "4-x"}]
        assert seen == [["one of two", "two of two"], own.ours[:1], *state]
        journal.give_back([ada.taken.id])
        (taken,) = place.take(other)
        assert (taken.checkpoint, taken.seq) == (b"after 1", 2)
        (task,) = taken.tasks
        assert (task.number, task.name, task.arguments) == (own.ours[0], "mint", b"user=ada")

    def test_an_exception_leaves_no_trace(self, place: Place) -> None:
        """Of a block that raised nothing is left, and nothing is released."""
        journal = place.open()
        own = Orders(journal)
        (ada,) = place.run(journal, "ada")
        with pytest.raises(ZeroDivisionError), ada.taken.journal.process():
            add_everything(ada, own.ours[0])
            raise ZeroDivisionError
        nothing_of_it(place, journal, own, ada)

    @pytest.mark.parametrize("refused", ["statement", "missing table", "task", "entry"])
    def test_one_refused_statement_takes_all_with_it(self, place: Place, refused: str) -> None:
        """Whatever part of an event the database refuses, nothing of it is left; others go on."""
        journal = place.open()
        own = Orders(journal)
        ada, bob = place.run(journal, "ada", "bob")
        if refused == "entry":
            # Only a hand from outside could have put it there.
            values = {"at": 0.0, "kind": "x", "heard": "intruder", "said": "[]", "event": b""}
            with journal._database.writing() as connection:
                connection.execute(insert(entries).values(flow_id=ada.taken.id, seq=2, **values))
        with ada.taken.journal.process():
            add_everything(ada, own.ours[0])
            if refused == "statement":
                ada.taken.journal.execute(insert(orders), {"number": own.ours[0]})
            elif refused == "missing table":
                ada.taken.journal.execute(text("INSERT INTO nowhere VALUES (1)"))
            elif refused == "task":
                ada.taken.journal.add_task(own.ours[0], "twice", b"", "key", 5.0)
        assert [type(error) for error in ada.lost] == [CommitFailed]
        assert "cannot be written" in str(ada.lost[0])
        with pytest.raises(CommitFailed), ada.taken.journal.process():
            pass
        bob.event()
        assert (bob.released, bob.lost) == ([1], [])
        if refused == "entry":
            assert texts(journal, ada) == ["intruder"]
            with journal._database.writing() as connection:
                connection.execute(delete(entries).where(entries.c.heard == "intruder"))
        nothing_of_it(place, journal, own, ada)

    def test_a_failed_commit_takes_all_with_it(self, place: Place) -> None:
        """If COMMIT itself fails, nothing is left and nothing is released."""
        journal = place.open()
        own = Orders(journal)
        (ada,) = place.run(journal, "ada")

        def fail(_connection: Connection) -> None:
            raise locked()

        with at_commit(fail), ada.taken.journal.process():
            add_everything(ada, own.ours[0])
        assert [type(error) for error in ada.lost] == [CommitFailed]
        nothing_of_it(place, journal, own, ada)

    def test_what_is_called_before_a_commit(self, place: Place) -> None:
        """It runs before anything of the entry is there, and once."""
        journal, other = place.open(), place.open()
        (ada,) = place.run(journal, "ada")
        seen: list[object] = []

        def look(word: str) -> None:
            seen.extend([word, texts(other, ada), tuple(ada.released)])

        with ada.taken.journal.process():
            ada.taken.journal.before_commit(look, "first")
        assert seen == ["first", [], ()]
        assert texts(journal, ada) == ["flow: changed"]
        with pytest.raises(JournalError, match="inside"):
            ada.taken.journal.before_commit(look, "never")

    def test_what_fails_before_a_commit_takes_all_with_it(self, place: Place) -> None:
        """If that raises, nothing is left and nothing is released; other flows go on."""
        journal = place.open()
        own = Orders(journal)
        ada, bob = place.run(journal, "ada", "bob")

        def fail() -> None:
            raise OSError("the disk is gone")

        with ada.taken.journal.process():
            add_everything(ada, own.ours[0])
            ada.taken.journal.before_commit(fail)
        assert [type(error) for error in ada.lost] == [CommitFailed]
        assert "the disk is gone" in str(ada.lost[0])
        bob.event()
        assert (bob.released, bob.lost) == ([1], [])
        nothing_of_it(place, journal, own, ada)

    def test_an_event_needs_a_snapshot(self, place: Place) -> None:
        """Recording before attach() is a mistake, and says so; so is recording outside a block."""
        journal = place.open()
        place.start(journal, "ada")
        (taken,) = place.take(journal)
        with pytest.raises(JournalError, match="attach"), taken.journal.process():
            taken.journal.record("message", heard="", said=[], event=b"")
        with pytest.raises(JournalError, match="inside"):
            taken.journal.record("message", heard="", said=[], event=b"")

    # Order.

    def test_entries_keep_their_order(self, place: Place) -> None:
        """Every commit has its entries, numbered from one without a gap, in order of happening."""
        journal = place.open()
        ada, bob = place.run(journal, "ada", "bob")
        ada.event(b"first")
        with ada.taken.journal.process():
            for kind in ("one", "two"):
                ada.taken.journal.record(kind, heard="", said=[], event=kind.encode())
        bob.event()
        with ada.taken.journal.process():  # in which nothing is recorded
            ada.taken.journal.add_task(1, "mint", b"", "key", 0.0)
        ada.event("letzte \N{SNOWMAN}".encode())
        rows = journal.history(ada.taken.id)
        assert [row.seq for row in rows] == [1, 2, 3, 4, 5]
        assert [row.kind for row in rows] == ["message", "one", "two", "change", "message"]
        assert [(rows[4].heard, rows[4].said)] == [("event 2", ["this"])]
        assert {row.worker for row in rows} == {journal.worker}
        events = [event.event for event in journal.events(ada.taken.id)]
        assert events == [b"first", b"one", b"two", b"", "letzte \N{SNOWMAN}".encode()]

    def test_calls_keep_their_order(self, place: Place) -> None:
        """Calls run in the order queued, each when its entry can be read by others."""
        journal, other = place.open(), place.open()
        (ada,) = place.run(journal, "ada")
        flow, ran = ada.taken.journal, list[object]()

        def call(name: str) -> None:
            ran.append((name, len(other.history(ada.taken.id))))

        def more(name: str) -> None:
            call(name)
            with flow.process():
                flow.record("message", heard="", said=[], event=b"")
                flow.queue_outbound(call, "by a call")

        with flow.process():
            flow.record("message", heard="", said=[], event=b"")
            flow.queue_outbound(more, "first")
            flow.queue_outbound(call, "second")
        flow.queue_outbound(call, "alone")
        assert [name for name, _ in ran] == ["first", "second", "by a call", "alone"]
        assert [durable for _, durable in ran] == [1, 2, 2, 2]

    def test_group_commit_keeps_their_order(self, place: Place) -> None:
        """With a thread that commits, calls of all flows run in order, when all is durable."""
        reactor = ManualReactor()
        journal = SqlJournal.open("sqlite://", reactor=reactor) if place.memory else None
        journal = journal or place.open(reactor)
        runners = place.run(journal, "ada", "bob")
        ran: list[tuple[int, int]] = []

        def call(runner: Runner, number: int) -> None:
            assert len(journal.history(runner.taken.id)) >= number
            ran.append((runner.taken.id, number))

        wanted = []
        for number in range(1, 31):
            for runner in runners:
                with runner.taken.journal.process():
                    runner.taken.journal.record("message", heard="", said=[], event=b"")
                    runner.taken.journal.queue_outbound(call, runner, number)
                wanted.append((runner.taken.id, number))
            if number % 7 == 0:
                reactor.turn()
        stopped = journal.stop()
        reactor.until(lambda: stopped.called)
        assert ran == wanted
        if place.memory:
            journal.close()

    # Conflict.

    def test_the_old_owner_is_fenced(self, place: Place) -> None:
        """Once a flow was taken anew, a commit of the old runner fails and releases nothing."""
        mine, other = place.open(), place.open()
        own = Orders(mine)
        ada, bob = place.run(mine, "ada", "bob")
        ada.event()
        mine.give_back([ada.taken.id])
        (taken,) = place.take(other)
        assert taken.epoch == ada.taken.epoch + 1
        with ada.taken.journal.process():
            add_everything(ada, own.ours[0])
        assert ada.released == [1]
        assert own.there() == []
        assert [type(error) for error in ada.lost] == [Fenced]
        with pytest.raises(Fenced):
            ada.event()
        bob.event()
        assert bob.released == [1]
        new = Runner(taken)
        new.event()
        assert (new.released, new.lost) == ([1], [])
        workers = [row.worker for row in mine.history(taken.id)]
        assert workers == [mine.worker, other.worker]

    def test_an_older_seq_is_fenced(self, place: Place) -> None:
        """A runner that has not seen the last entry cannot add one, even under its own epoch."""
        journal = place.open()
        (ada,) = place.run(journal, "ada")
        ada.event()
        with journal._database.writing() as connection:
            this = flows.c.id == ada.taken.id
            connection.execute(update(flows).where(this).values(seq=flows.c.seq + 1))
        ada.event()
        assert ada.released == [1]
        assert [type(error) for error in ada.lost] == [Fenced]
        assert seqs(journal, ada) == [1]

    def test_given_back_and_taken_again(self, place: Place) -> None:
        """The same worker may take its flow again; only the new runner's events count."""
        journal = place.open()
        (old,) = place.run(journal, "ada")
        old.event()
        journal.give_back([old.taken.id])
        (taken,) = place.take(journal)
        new = Runner(taken)
        new.event()
        old.event()
        new.event()
        assert (old.released, new.released) == ([1], [1, 2])
        assert [type(error) for error in old.lost] == [Fenced]
        assert texts(journal, new) == ["event 1", "event 1", "event 2"]

    def test_a_flow_has_one_owner(self, place: Place) -> None:
        """What somebody alive runs nobody else is given, until it is given back."""
        mine, other = place.open(), place.open()
        (ada,) = place.run(mine, "ada")
        assert place.take(other) == []
        assert place.take(mine) == []
        mine.give_back([ada.taken.id])
        assert [flow.id for flow in place.take(other)] == [ada.taken.id]
        assert place.take(mine) == []

    # Concurrent writers.

    def test_started_by_several_at_once(self, place: Place) -> None:
        """Those who start the same input at the same time start each name once."""
        names = [f"flow {number}" for number in range(30)]
        new = [NewFlow(name, "test", b"") for name in names]
        started: list[str] = []

        def work(journal: SqlJournal) -> None:
            started.extend(journal.start_flows(place.batch, new).started)

        at_once([partial(work, place.open()) for _ in range(3)])
        assert sorted(started) == sorted(names)

    def test_taken_by_several_at_once(self, place: Place) -> None:
        """No flow is taken by two, and all are taken."""
        names = {f"flow {number}" for number in range(60)}
        opened = [place.open() for _ in range(3)]
        place.start(opened[0], *names)
        taken: list[str] = []

        def work(journal: SqlJournal) -> None:
            while some := place.take(journal, limit=7):
                taken.extend(flow.name for flow in some)

        at_once([partial(work, journal) for journal in opened])
        assert sorted(taken) == sorted(names)

    def test_several_write_at_once(self, place: Place) -> None:
        """Writers do not disturb each other, and whoever reads meanwhile sees whole events."""
        opened = [place.open()] if place.memory else [place.open() for _ in range(3)]
        runners = [place.run(journal, f"flow {n}")[0] for n, journal in enumerate(opened)]
        reader, ended = place.open(), threading.Event()

        def write(runner: Runner) -> None:
            try:
                for _ in range(25):
                    with runner.taken.journal.process():
                        runner.event()
                        runner.event()
            finally:
                ended.set()

        def read() -> None:
            while not ended.is_set():
                for runner in runners:
                    found = seqs(reader, runner)
                    assert found == list(range(1, len(found) + 1))
                    assert len(found) % 2 == 0

        at_once([*(partial(write, runner) for runner in runners), read])
        for runner in runners:
            assert runner.released == list(range(1, 51))
            assert seqs(reader, runner) == list(range(1, 51))

    def test_several_runners_of_one_flow(self, place: Place) -> None:
        """Runners of the same flow at the same time: only the last to take it gets anywhere."""
        opened = [place.open()] if place.memory else [place.open() for _ in range(3)]
        place.start(opened[0], "ada")
        runners = []
        for journal in (opened * 3)[:3]:
            (taken,) = place.take(journal)
            runners.append(Runner(taken))
            journal.give_back([taken.id])
        *old, new = runners

        def write(those: list[Runner]) -> None:
            for _ in range(10):
                for runner in those:
                    if not runner.lost:
                        runner.event()

        # A journal is for one thread, so in memory they take turns.
        threads = [runners] if place.memory else [[runner] for runner in runners]
        at_once([partial(write, those) for those in threads])
        assert new.released == list(range(1, 11))
        assert [runner.released for runner in old] == [[], []]
        assert [type(error) for runner in old for error in runner.lost] == [Fenced, Fenced]
        assert seqs(opened[0], new) == list(range(1, 11))

    # Reading back.

    def test_what_was_released_is_read_back(self, place: Place) -> None:
        """Whatever happens, whoever opens it anew sees what was released, and nothing else."""
        rng = random.Random(7)
        journal = place.open()
        own = Orders(journal)
        runners = place.run(journal, "ada", "bob", "cat")
        expected: dict[int, list[str]] = {runner.taken.id: [] for runner in runners}
        for _ in range(40):
            place_of = rng.randrange(3)
            runner = runners[place_of]
            fate = rng.choice(["well", "well", "raises", "refused", "fenced", "given back"])
            if fate in ("fenced", "given back"):
                journal.give_back([runner.taken.id])
                (taken,) = place.take(journal)
                if fate == "fenced":
                    runner.event()
                    assert isinstance(runner.lost[0], Fenced)
                runners[place_of] = runner = Runner(taken)
            runner.released.clear()
            try:
                with runner.taken.journal.process():
                    runner.event(b"", *(runner.events for _ in range(rng.randint(1, 2))))
                    if fate == "refused":
                        runner.taken.journal.execute(text("INSERT INTO nowhere VALUES (1)"))
                    if fate == "raises":
                        raise ZeroDivisionError
            except ZeroDivisionError:
                pass
            if runner.released:
                expected[runner.taken.id].append(f"event {runner.events}")
            if fate in ("raises", "refused"):
                journal.give_back([runner.taken.id])
                (taken,) = place.take(journal)
                runners[place_of] = Runner(taken)
        journal.give_back([runner.taken.id for runner in runners])
        fresh = place.open()
        assert {flow: [row.heard for row in fresh.history(flow)] for flow in expected} == expected
        for taken in place.take(fresh):
            last = expected[taken.id][-1].removeprefix("event ")
            assert taken.checkpoint == f"after {last}".encode()
            assert taken.seq == len(expected[taken.id])
            assert taken.params == f"params of {taken.name}".encode()
            assert taken.status == "waiting"
        assert own.there() == []

    def test_tasks_are_read_back(self, place: Place) -> None:
        """Tasks are kept, deferred and finished with the event that says so."""
        journal = place.open()
        (ada,) = place.run(journal, "ada")
        flow = ada.taken.journal
        with flow.process():
            flow.add_task(1, "mint", b"user=ada", "key 1", 10.0)
            flow.add_task(2, "mail", b"", "key 2", 20.0)
        with flow.process():
            flow.defer_task(1, 15.0, 3, "no route")
            flow.finish_task(2)
        journal.give_back([ada.taken.id])
        ((task,),) = [taken.tasks for taken in place.take(place.open())]
        assert (task.number, task.name, task.arguments) == (1, "mint", b"user=ada")
        assert (task.key, task.due_at, task.attempts) == ("key 1", 15.0, 3)
        assert task.error == "no route"
        assert "user" not in repr(task)


def nothing_of_it(place: Place, journal: SqlJournal, own: Orders, runner: Runner) -> None:
    """The flow is as if its one event had never been."""
    flow = runner.taken.id
    assert runner.released == []
    assert own.there() == []
    assert journal.history(flow) == []
    with journal._database.reading() as connection:
        assert connection.execute(select(tasks.c.id).where(tasks.c.flow_id == flow)).all() == []
    journal.give_back([flow])
    again = {taken.id: taken for taken in place.take(journal)}[flow]
    assert (again.checkpoint, again.seq, again.status, again.tasks) == (None, 0, "new", [])
