"""SqlJournal's contract, on every kind of database."""

import threading
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, insert, select, text

from holdfast_journal import (
    Fenced,
    JournalError,
    JournalStopped,
    NewFlow,
    NoSuchFlow,
    NotRetryable,
    SqlJournal,
)
from holdfast_journal.database import Database, parse_url
from holdfast_journal.schema import tasks
from tests.journal.conftest import Journals
from tests.journal.helpers import PATIENCE, Runner, run, start

orders = Table("orders", MetaData(), Column("number", Integer, primary_key=True))


def make_orders(url: str) -> None:
    """Make a table of the application's own."""
    engine = create_engine(parse_url(url))
    orders.create(engine)
    engine.dispose()


def order_numbers(url: str) -> list[int]:
    """Read that table."""
    database = Database.open(url)
    with database.reading() as connection:
        found = list(connection.scalars(select(orders.c.number).order_by(orders.c.number)))
    database.close()
    return found


def task_owners(url: str) -> list[int]:
    """The flow of each task that is kept."""
    database = Database.open(url)
    with database.reading() as connection:
        found = list(connection.scalars(select(tasks.c.flow_id)))
    database.close()
    return found


def reload(journal: SqlJournal, runner: Runner) -> Runner:
    """Give a flow back and take it again."""
    journal.give_back([runner.taken.id])
    (taken,) = journal.take(ids=[runner.taken.id])
    return Runner(taken)


class TestEvents:
    def test_what_was_recorded_is_read_back(self, url: str, journals: Journals) -> None:
        """Entries come back in order, with their texts, and their events as they were."""
        journal = journals.open(url)
        (ada,) = run(journal, "ada")
        ada.event(b"first")
        ada.event("zweite \N{SNOWMAN}".encode())
        rows = journal.history(ada.taken.id)
        assert [(row.seq, row.kind, row.heard, row.said) for row in rows] == [
            (1, "message", "event 1", ["this"]),
            (2, "message", "event 2", ["this"]),
        ]
        assert {row.worker for row in rows} == {journal.worker}
        found = [event.event for event in journal.events(ada.taken.id)]
        assert found == [b"first", "zweite \N{SNOWMAN}".encode()]
        assert ada.released == [1, 2]

    def test_several_entries_in_one_block(self, url: str, journals: Journals) -> None:
        """A block may record several entries; they are consecutive."""
        journal = journals.open(url)
        (ada,) = run(journal, "ada")
        with ada.taken.journal.process():
            for kind in ("one", "two", "three"):
                ada.taken.journal.record(kind, heard="", said=[], event=b"")
        ada.event()
        found = [(row.seq, row.kind) for row in journal.history(ada.taken.id)]
        assert found == [(1, "one"), (2, "two"), (3, "three"), (4, "message")]

    def test_a_change_has_an_entry_too(self, url: str, journals: Journals) -> None:
        """A commit in which nothing was recorded leaves an entry: a missing one is damage."""
        journal = journals.open(url)
        (ada,) = run(journal, "ada")
        with ada.taken.journal.process():
            ada.taken.journal.add_task(1, "mint", b"", "key", 0.0)
        ada.event()
        found = [(row.seq, row.kind) for row in journal.history(ada.taken.id)]
        assert found == [(1, "change"), (2, "message")]

    def test_the_checkpoint_is_that_of_the_last_event(self, url: str, journals: Journals) -> None:
        """Taking a flow again gives the last committed snapshot, and the parameters."""
        journal = journals.open(url)
        (ada,) = run(journal, "ada")
        assert (ada.taken.checkpoint, ada.taken.seq, ada.taken.status) == (None, 0, "new")
        ada.event()
        ada.event()
        again = reload(journal, ada).taken
        assert again.checkpoint == b"after 2"
        assert again.params == b"params of ada"
        assert (again.seq, again.status) == (2, "waiting")
        assert again.epoch == ada.taken.epoch + 1

    def test_an_exception_leaves_no_trace(self, url: str, journals: Journals) -> None:
        """What was recorded, executed and asked for inside a failed block is dropped."""
        make_orders(url)
        journal = journals.open(url)
        (ada,) = run(journal, "ada")
        flow = ada.taken.journal
        with pytest.raises(ZeroDivisionError), flow.process():
            flow.record("message", heard="", said=[], event=b"")
            flow.add_task(1, "mint", b"", "key", 0.0)
            flow.execute(insert(orders), {"number": 1})
            raise ZeroDivisionError
        assert journal.history(ada.taken.id) == []
        assert order_numbers(url) == []
        assert reload(journal, ada).taken.tasks == []

    def test_an_event_needs_a_snapshot(self, url: str, journals: Journals) -> None:
        """Recording before attach() is a mistake, and says so."""
        journal = journals.open(url)
        start(journal, "ada")
        (taken,) = journal.take()
        with pytest.raises(JournalError, match="attach"), taken.journal.process():
            taken.journal.record("message", heard="", said=[], event=b"")
        with pytest.raises(JournalError, match="inside"):
            taken.journal.record("message", heard="", said=[], event=b"")

    def test_own_statements_share_the_transaction(self, url: str, journals: Journals) -> None:
        """An application's statement is committed with the event."""
        make_orders(url)
        journal = journals.open(url)
        (ada,) = run(journal, "ada")
        with ada.taken.journal.process():
            ada.taken.journal.record("message", heard="", said=[], event=b"")
            ada.taken.journal.execute(insert(orders), {"number": 7})
            ada.taken.journal.execute(insert(orders).values(number=8))
        assert order_numbers(url) == [7, 8]

    def test_a_refused_statement_takes_the_event_with_it(
        self, url: str, journals: Journals
    ) -> None:
        """If the database refuses the application's statement, nothing of the event is left."""
        make_orders(url)
        journal = journals.open(url)
        ada, bob = run(journal, "ada", "bob")
        for runner in (ada, bob):
            with runner.taken.journal.process():
                runner.taken.journal.record("message", heard="", said=[], event=b"")
                runner.taken.journal.execute(insert(orders), {"number": 7})
                runner.taken.journal.queue_outbound(runner.released.append, "left")
        assert (ada.released, ada.lost) == (["left"], [])
        assert bob.released == []
        assert "cannot be written" in str(bob.lost[0])
        assert journal.history(bob.taken.id) == []
        assert order_numbers(url) == [7]

    def test_a_statement_that_cannot_work_is_not_tried_for_ever(
        self, url: str, journals: Journals
    ) -> None:
        """A missing table is the application's mistake: the flow is lost, the journal works."""
        journal = journals.open(url)
        ada, bob = run(journal, "ada", "bob")
        with ada.taken.journal.process():
            ada.taken.journal.execute(text("INSERT INTO nowhere VALUES (1)"))
        assert len(ada.lost) == 1
        bob.event()
        assert bob.released == [1]


class TestFlows:
    def test_a_name_is_started_once(self, url: str, journals: Journals) -> None:
        """Starting again starts only what is new, and tells what was there."""
        journal = journals.open(url)
        secret = journal.fingerprint("ada", "secret")
        flows = [NewFlow("ada", "test", b"1", secret), NewFlow("bob", "test", b"2")]
        assert journal.start_flows("batch", flows[:1]).started == ["ada"]
        result = journal.start_flows("batch", flows)
        assert result.started == ["bob"]
        (ada,) = result.existing
        assert (ada.name, ada.status, ada.finished, ada.attempt) == ("ada", "new", False, 1)
        assert ada.fingerprint == secret != journal.fingerprint("ada", "another")
        assert journal.start_flows("other", flows[:1]).started == ["ada"]
        with pytest.raises(ValueError, match="twice"):
            journal.start_flows("third", [flows[0], flows[0]])

    def test_started_by_several_at_once(self, url: str, journals: Journals) -> None:
        """Processes that start the same input at the same time start each name once."""
        opened = [journals.open(url) for _ in range(3)]
        names = [f"flow {number}" for number in range(30)]
        flows = [NewFlow(name, "test", b"") for name in names]
        started: list[str] = []

        def work(journal: SqlJournal) -> None:
            started.extend(journal.start_flows("batch", flows).started)

        at_once([partial(work, journal) for journal in opened])
        assert sorted(started) == sorted(names)

    def test_taken_by_several_at_once(self, url: str, journals: Journals) -> None:
        """No flow is taken by two, and all are taken."""
        opened = [journals.open(url) for _ in range(3)]
        start(opened[0], *(f"flow {number}" for number in range(60)))
        taken: list[str] = []

        def work(journal: SqlJournal) -> None:
            for _ in range(8):
                taken.extend(flow.name for flow in journal.take(limit=7))

        at_once([partial(work, journal) for journal in opened])
        assert sorted(taken) == sorted({f"flow {number}" for number in range(60)})

    def test_several_write_at_once(self, url: str, journals: Journals) -> None:
        """Writers in the same database do not disturb each other."""
        opened = [journals.open(url) for _ in range(3)]
        runners = [run(journal, f"flow {n}")[0] for n, journal in enumerate(opened)]

        def work(runner: Runner) -> None:
            for _ in range(25):
                runner.event()

        at_once([partial(work, runner) for runner in runners])
        for runner in runners:
            assert runner.released == list(range(1, 26))
            seqs = [row.seq for row in opened[0].history(runner.taken.id)]
            assert seqs == list(range(1, 26))

    def test_take_chooses(self, url: str, journals: Journals) -> None:
        """take() can be told the batch, the names, the ids, the kinds and how many."""
        journal = journals.open(url)
        start(journal, "a", "b", "c")
        start(journal, "a", "d", batch="other")
        assert journal.take(kinds=["another kind"]) == []
        assert [f.name for f in journal.take(batch="other", names=["a", "b"])] == ["a"]
        assert [(f.batch, f.name) for f in journal.take(limit=2)] == [
            ("batch", "a"),
            ("batch", "b"),
        ]
        assert [f.name for f in journal.take()] == ["c", "d"]
        assert journal.take() == []

    def test_owned_from_birth(self, url: str, journals: Journals) -> None:
        """A flow started with own=True is for this worker, until it gives it back."""
        mine, other = journals.open(url), journals.open(url)
        mine.start_flows("batch", [NewFlow("ada", "test", b"")], own=True)
        assert other.take() == []
        (ada,) = mine.take()
        mine.give_back()
        assert [flow.id for flow in other.take()] == [ada.id]
        assert mine.take() == []

    def test_the_old_owner_is_fenced(self, url: str, journals: Journals) -> None:
        """Once another took a flow, a commit of the old owner fails and releases nothing."""
        mine, other = journals.open(url), journals.open(url)
        ada, bob = run(mine, "ada", "bob")
        ada.event()
        mine.give_back([ada.taken.id])
        (taken,) = other.take()
        ada.event()
        assert ada.released == [1]
        assert [type(error) for error in ada.lost] == [Fenced]
        with pytest.raises(Fenced):
            ada.event()
        bob.event()
        assert bob.released == [1]
        new = Runner(taken)
        new.event()
        assert new.released == [1]
        workers = [row.worker for row in mine.history(taken.id)]
        assert workers == [mine.worker, other.worker]

    def test_a_finished_flow_is_not_taken(self, url: str, journals: Journals) -> None:
        """A finished flow belongs to nobody, keeps its end, and is not run again."""
        journal = journals.open(url, clock=iter(float(n) for n in range(1, 1000)).__next__)
        (ada,) = run(journal, "ada")
        ada.status, ada.finished = "done", True
        ada.event()
        (first,) = journal.overview(name="ada")
        ada.event()
        (row,) = journal.overview(name="ada")
        assert (row.status, row.owner, row.owner_alive) == ("done", None, None)
        assert row.finished_at == first.finished_at is not None
        assert row.updated_at > first.updated_at
        assert journal.take() == []

    def test_a_finished_flow_has_no_tasks(self, url: str, journals: Journals) -> None:
        """However a flow ends, no task of it is left: nobody would hear its result."""
        journal = journals.open(url)
        ada, bob = run(journal, "ada", "bob")
        for runner in (ada, bob):
            with runner.taken.journal.process():
                runner.taken.journal.add_task(1, "mint", b"", "key", 0.0)
        ada.status, ada.finished = "failed", True
        ada.event()
        assert task_owners(url) == [bob.taken.id]

    def test_retry(self, url: str, journals: Journals) -> None:
        """A flow that failed starts from its parameters, with its history and a new attempt."""
        journal = journals.open(url)
        (ada,) = run(journal, "ada")
        with pytest.raises(NotRetryable, match="under way"):
            journal.retry("ada", None)
        with ada.taken.journal.process():
            ada.taken.journal.add_task(1, "mint", b"", "key", 0.0)
        ada.status, ada.finished, ada.published = "scared", True, {"code": "4-x"}
        ada.event()
        journal.retry("ada", "batch")
        (taken,) = journal.take()
        assert (taken.status, taken.checkpoint, taken.attempt) == ("new", None, 2)
        assert (taken.params, taken.tasks) == (b"params of ada", [])
        (row,) = journal.overview()
        assert (row.finished_at, row.published) == (None, {})
        again = Runner(taken)
        again.event()
        assert [row.kind for row in journal.history(taken.id)] == [
            "change",
            "message",
            "retried",
            "message",
        ]

    @pytest.mark.parametrize(("status", "shred"), [("done", False), ("failed", True)])
    def test_not_retryable(self, url: str, journals: Journals, status: str, shred: bool) -> None:
        """What went well is not retried, nor what was shredded."""
        journal = journals.open(url)
        (ada,) = run(journal, "ada")
        ada.status, ada.finished, ada.shred = status, True, shred
        ada.event()
        with pytest.raises(NotRetryable):
            journal.retry("ada", None)

    def test_requests(self, url: str, journals: Journals) -> None:
        """What is asked of a flow reaches its owner, present or next, until it is finished."""
        mine, other = journals.open(url), journals.open(url)
        (ada,) = run(mine, "ada")
        assert mine.requests() == []
        assert other.ask("ada", "batch", "cancel")
        assert mine.requests() == [(ada.taken.id, "cancel")]
        assert other.requests() == []
        ada = reload(mine, ada)
        assert ada.taken.request == "cancel"
        ada.finished = True
        ada.event()
        assert mine.requests() == []
        assert not other.ask("ada", None, "cancel")

    def test_names_that_do_not_tell(self, url: str, journals: Journals) -> None:
        """An unknown name is an error, and so is one that several batches have."""
        journal = journals.open(url)
        with pytest.raises(NoSuchFlow, match="no flow named 'ada'"):
            journal.ask("ada", None, "cancel")
        start(journal, "ada")
        start(journal, "ada", batch="other")
        with pytest.raises(NoSuchFlow, match="which batch"):
            journal.retry("ada", None)
        with pytest.raises(NoSuchFlow):
            journal.history(99)

    def test_tasks(self, url: str, journals: Journals) -> None:
        """Tasks are kept, deferred and finished with the event that says so."""
        journal = journals.open(url)
        (ada,) = run(journal, "ada")
        flow = ada.taken.journal
        with flow.process():
            flow.add_task(1, "mint", b"user=ada", "key 1", 10.0)
            flow.add_task(2, "mail", b"", "key 2", 20.0)
        with flow.process():
            flow.defer_task(1, 15.0, 3, "no route")
            flow.finish_task(2)
        (task,) = reload(journal, ada).taken.tasks
        assert (task.number, task.name, task.arguments) == (1, "mint", b"user=ada")
        assert (task.key, task.due_at, task.attempts) == ("key 1", 15.0, 3)
        assert task.error == "no route"
        assert "user" not in repr(task)


class TestReading:
    def test_overview(self, url: str, journals: Journals) -> None:
        """Operators see every flow, its owner and what it shows."""
        mine, other = journals.open(url, host="here"), journals.open(url)
        (ada,) = run(mine, "ada")
        start(mine, "bob", batch="other", published={"code": None})
        ada.published = {"code": "4-purple-sausages"}
        ada.event()
        first, second = other.overview()
        assert (first.name, first.batch, first.kind) == ("ada", "batch", "test")
        assert (first.status, first.seq, first.attempt) == ("waiting", 1, 1)
        assert first.published == {"code": "4-purple-sausages"}
        assert "sausages" not in repr(first)
        assert (first.owner, first.owner_host, first.owner_alive) == (mine.worker, "here", True)
        assert (second.name, second.owner, second.published) == ("bob", None, {"code": None})
        assert [row.name for row in other.overview("other")] == ["bob"]
        assert [row.name for row in other.overview(name="ada")] == ["ada"]
        assert other.worker is None

    def test_published_values_may_change_in_place(self, url: str, journals: Journals) -> None:
        """A flow may keep one dictionary and change it."""
        journal = journals.open(url)
        (ada,) = run(journal, "ada")
        for code in ("4-x", "5-y"):
            ada.published["code"] = code
            ada.event()
            assert journal.overview()[0].published == {"code": code}

    def test_poll(self, url: str, journals: Journals) -> None:
        """Polling tells each change once."""
        journal = journals.open(url)
        ada, _ = run(journal, "ada", "bob")
        first = journal.poll("batch")
        assert [row.name for row in first.rows] == ["ada", "bob"]
        assert journal.poll("batch", first.seen).rows == []
        ada.event()
        second = journal.poll("batch", first.seen)
        assert [row.name for row in second.rows] == ["ada"]
        assert journal.poll(None, second.seen).rows == []

    def test_counts(self, url: str, journals: Journals) -> None:
        """How many flows have each status."""
        journal = journals.open(url)
        ada, _ = run(journal, "ada", "bob")
        ada.event()
        assert journal.counts("batch") == {"waiting": 1, "new": 1}
        assert journal.counts("other") == {}

    def test_stopped(self, url: str, journals: Journals) -> None:
        """A stopped journal records nothing more."""
        journal = journals.open(url)
        (ada,) = run(journal, "ada")
        assert journal.stop().called
        with pytest.raises(JournalStopped):
            ada.event()


def at_once(jobs: list[Callable[[], None]]) -> None:
    """Run `jobs` in a thread each; raise what one of them raised."""
    errors: list[Exception] = []

    def guarded(job: Callable[[], None]) -> None:
        try:
            job()
        except Exception as error:  # noqa: BLE001  raised below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    if errors:
        raise errors[0]
