"""Tasks that outlive their flow: claimed by one worker at a time, sealed apart, never lost."""

import pytest
from sqlalchemy import text

from holdfast_journal import DatabaseAway, KeyRing, SqlJournal
from holdfast_journal.keys import detached as keys
from holdfast_journal.ownership.detached import LONGEST_WAIT, DetachedTask
from holdfast_journal.store.database import Database
from holdfast_journal.upkeep import rotating
from tests.journal.conftest import Journals
from tests.journal.helpers import Runner, run, start
from tests.journal.test_retention import Time, end

LEASES = {"tell": 60.0}


def detach(runner: Runner, number: int = -1, name: str = "tell", due_at: float = 0.0) -> None:
    with runner.taken.journal.process():
        runner.taken.journal.detach_task(number, name, b"what to tell", f"key {number}", due_at)


def claim(journal: SqlJournal, limit: int = 9, batch: str | None = None) -> list[DetachedTask]:
    return journal.claim_detached(LEASES, limit=limit, batch=batch)


def test_it_outlives_the_flow(url: str, journals: Journals) -> None:
    """The flow is over, its key is deleted, and its own tasks are gone."""
    journal = journals.open(url)
    (runner,) = run(journal, "ada")
    detach(runner)
    end(runner)
    (task,) = claim(journal)
    assert (task.flow, task.name, task.key) == ("ada", "tell", "key -1")
    assert (task.arguments, task.attempts) == (b"what to tell", 1)
    assert not [found for each in journal.checks.flows() for found in each.findings]
    journal.detached_done(task)
    assert claim(journal) == []


def test_the_database_goes_away_just_after_a_take(
    url: str, journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flows are ours already when the key of detached tasks is read: they are not forgotten."""
    journal = journals.open(url)
    start(journal, "ada")
    with monkeypatch.context() as away:
        away.setattr(keys, "fingerprint_key", goes_away)
        with pytest.raises(DatabaseAway):
            journal.take()
    assert [flow.name for flow in journal.take()] == ["ada"]


def goes_away(*_: object) -> bytes:
    raise DatabaseAway("it", "is locked")


def test_claims(url: str, journals: Journals) -> None:
    """Each is one worker's until it is reported, or until the claim has lapsed."""
    clock = Time()
    ours, theirs = journals.open(url, clock=clock), journals.open(url, clock=clock)
    (runner,) = run(ours, "ada")
    for number in (-1, -2, -3):
        detach(runner, number, due_at=clock.now + number)
    detach(runner, -4, due_at=clock.now + 5)
    detach(runner, -5, name="unknown")
    first = claim(ours, limit=1)
    assert [task.key for task in first] == ["key -3"]  # it waits longest
    others = claim(theirs)
    assert [task.key for task in others] == ["key -2", "key -1"]
    assert claim(ours) == []
    ours.detached_failed(first[0], "not now", clock.now + 10)
    clock.now += 20
    again = claim(theirs)
    assert {task.key: task.attempts for task in again} == {"key -4": 1, "key -3": 2}
    # A claim can be kept; whoever was paused says nothing of one that has lapsed.
    clock.now += 50
    theirs.detached_goes_on(again, 60.0)
    clock.now += 11
    assert {task.key for task in claim(ours)} == {"key -1", "key -2"}
    clock.now += 61
    taken = {task.key: task for task in claim(ours)}
    assert len(taken) == 4
    theirs.detached_failed(again[0], "too late", 0.0)
    assert claim(theirs) == []
    assert claim(ours, batch="another") == []


def test_a_clock_that_was_set_back(url: str, journals: Journals) -> None:
    """What seems to be due in a year is due."""
    clock = Time()
    journal = journals.open(url, clock=clock)
    (runner,) = run(journal, "ada")
    detach(runner, due_at=clock.now + 2 * LONGEST_WAIT)
    assert len(claim(journal)) == 1


def test_another_master_key(url: str, journals: Journals) -> None:
    """It opens under the new one, also when the old one is gone."""
    old, new = KeyRing.random(), KeyRing.random()
    journal = journals.open(url, keys=old)
    (runner,) = run(journal, "ada")
    detach(runner)
    end(runner)
    database = Database.open(url)
    rotating.rotate(database, KeyRing([*new._keys, *old._keys]), 1.0)
    database.close()
    assert [task.arguments for task in claim(journals.open(url, keys=new))] == [b"what to tell"]


def test_one_that_was_altered(url: str, journals: Journals) -> None:
    """It is left alone, and keeps nobody from the others."""
    journal = journals.open(url)
    (runner,) = run(journal, "ada")
    for number in (-1, -2):
        detach(runner, number)
    with journal._database.writing() as connection:
        connection.execute(text("UPDATE holdfast_tasks SET arguments = 'no' WHERE number = -1"))
    assert [task.key for task in claim(journal)] == ["key -2"]


def test_retry_and_purge(url: str, journals: Journals) -> None:
    """A retry leaves what an earlier attempt has to tell; a purge removes it with its flow."""
    journal = journals.open(url)
    (runner,) = run(journal, "ada")
    detach(runner)
    end(runner, "failed", shred=False)
    journal.retry("ada", None)
    (task,) = claim(journal)
    assert task.key == "key -1"
