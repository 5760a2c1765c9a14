"""Flows and what is told of them; what happens to each is in `test_contract`."""

import pytest
from sqlalchemy import select

from holdfast_journal import (
    JournalStopped,
    NewFlow,
    NoSuchFlow,
    NotRetryable,
    SqlJournal,
)
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import tasks
from tests.journal.conftest import Journals
from tests.journal.helpers import Runner, run, start


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
