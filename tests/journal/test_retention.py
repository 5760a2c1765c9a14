"""What finished flows keep, for how long, and that what is deleted is gone."""

import time
from pathlib import Path

import pytest
from attrs import define
from sqlalchemy import text

from holdfast_journal import Actor, Deeds, NoSuchFlow, NotRetryable, Shredded, SqlJournal
from holdfast_journal.store.database import Database
from holdfast_journal.upkeep.purging import Old, Purge, find, purge
from holdfast_journal.workers.locks import locks_for
from holdfast_journal.workers.registration import Registration
from tests.journal.conftest import Journals
from tests.journal.helpers import Runner, run, start

ADA = Actor("ada", "here", "page")


@define
class Time:
    """A clock that is set by hand."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def end(runner: Runner, status: str = "done", *, shred: bool = True) -> None:
    """The flow's last event."""
    runner.status, runner.finished, runner.shred = status, True, shred
    runner.published = {"collected": 1.0}
    runner.event(b"the last event")


def kept(url: str) -> dict[str, tuple[bool, ...]]:
    """Which of data key, parameters, checkpoint and published values each flow still has."""
    query = (
        "SELECT name, data_key IS NOT NULL, params IS NOT NULL, checkpoint IS NOT NULL,"
        " published IS NOT NULL FROM holdfast_flows ORDER BY id"
    )
    database = Database.open(url)
    with database.reading() as connection:
        found = {row[0]: tuple(map(bool, row[1:])) for row in connection.execute(text(query))}
    database.close()
    return found


class TestRetain:
    def test_nothing_is_kept_by_default(self, url: str, journals: Journals) -> None:
        """The commit that ends a flow well deletes its key."""
        journal = journals.open(url)
        end(run(journal, "ada")[0])
        assert kept(url) == {"ada": (False, False, False, False)}
        assert journal.shred_due() == 0

    def test_kept_for_a_while(self, url: str, journals: Journals) -> None:
        """Until its time has come a flow can be read, and not be retried; its tasks go at once."""
        clock = Time()
        journal = journals.open(url, clock=clock, retain=60.0)
        (ada,) = run(journal, "ada")
        with ada.taken.journal.process():
            ada.taken.journal.add_task(1, "mint", b"", "key", 0.0)
        end(ada, "cancelled")
        assert kept(url) == {"ada": (True, True, True, True)}
        (row,) = journal.overview()
        assert row.published == {"collected": 1.0}
        assert journal.events(row.id)[-1].event == b"the last event"
        assert journal.take() == []
        with pytest.raises(NotRetryable, match="kept to be read"):
            journal.retry("ada", "batch")
        clock.now = 1059.0
        assert journal.shred_due() == 0
        clock.now = 1060.0
        assert journal.shred_due() == 1
        assert kept(url) == {"ada": (False, False, False, False)}
        with pytest.raises(Shredded):
            journal.events(row.id)
        assert journal.history(row.id)
        assert journal.shred_due() == 0

    def test_what_can_be_retried_is_kept(self, url: str, journals: Journals) -> None:
        """A flow that failed keeps everything, whatever the time."""
        clock = Time()
        journal = journals.open(url, clock=clock, retain=60.0)
        end(run(journal, "ada")[0], "failed", shred=False)
        clock.now = 1e9
        assert journal.shred_due() == 0
        assert kept(url) == {"ada": (True, True, True, True)}
        journal.retry("ada", "batch")
        assert [flow.params for flow in journal.take()] == [b"params of ada"]

    @pytest.mark.parametrize("retain", [0.0, 60.0])
    def test_gone_from_the_disk(self, folder: Path, journals: Journals, retain: float) -> None:
        """The sealed keys of shredded flows are in no file, the write-ahead log included."""
        url, clock = f"sqlite:///{folder}/journal.db", Time()
        journal = journals.open(url, clock=clock, retain=retain)
        names = [f"flow {number}" for number in range(60)]
        runners = run(journal, *names)
        database = Database.open(url)
        with database.reading() as connection:
            query = text("SELECT name, data_key FROM holdfast_flows")
            sealed = {name: bytes(key) for name, key in connection.execute(query)}
        assert all(_in_files(folder, key) for key in sealed.values())
        for runner in runners:
            runner.event()
        gone = [runner for number, runner in enumerate(runners) if number % 3]
        for runner in gone:
            end(runner)
        clock.now += 61
        assert any(_in_files(folder, sealed[runner.taken.name]) for runner in gone)
        # Somebody who reads right now is waited for by nobody; the next time it is done.
        with database.reading() as connection:
            connection.execute(text("SELECT count(*) FROM holdfast_flows")).all()
            journal.shred_due()
        journal.shred_due()
        ended = {runner.taken.name for runner in gone}
        assert not [name for name in ended if _in_files(folder, sealed[name])]
        assert all(_in_files(folder, sealed[name]) for name in set(names) - ended)
        database.close()


def _in_files(folder: Path, value: bytes) -> bool:
    return any(value in path.read_bytes() for path in folder.iterdir())


def purged(url: str, before: float, batch: str | None = None, *, names: bool = False) -> Purge:
    database = Database.open(url)
    try:
        old = Old(before, batch, names)
        alive = Registration(database, time.time, locks_for(database)).alive
        expected = find(database, alive, old)
        done = purge(database, alive, old)
        assert (done.flows, done.entries, done.statuses, done.untold) == (
            *(expected.flows, expected.entries),
            *(expected.statuses, expected.untold),
        )
        return done
    finally:
        database.close()


def three(journals: Journals, url: str) -> tuple[SqlJournal, Time]:
    """Start three flows: ada is done, bob has failed later, cleo waits."""
    clock = Time()
    journal = journals.open(url, clock=clock)
    ada, bob, cleo = run(journal, "ada", "bob", "cleo")
    for runner in (ada, bob, cleo):
        runner.event()
    end(ada)
    clock.now = 2000.0
    end(bob, "failed", shred=False)
    return journal, clock


class TestPurge:
    def test_a_row_stays(self, url: str, journals: Journals) -> None:
        """History and secrets of what ended long ago go; its name stays, and starts nothing."""
        journal, _ = three(journals, url)
        done = purged(url, 1500.0)
        assert (done.flows, done.entries, done.statuses) == (1, 2, {"done": 1})
        assert {row.name: row.status for row in journal.overview()} == {
            "ada": "done",
            "bob": "failed",
            "cleo": "waiting",
        }
        ada, bob, cleo = journal.overview()
        assert (ada.finished_at, ada.attempt) == (1000.0, 1)
        assert [len(journal.history(row.id)) for row in (ada, bob, cleo)] == [0, 2, 1]
        assert [flow.findings for flow in journal.checks.flows()] == [[], [], []]
        start(journal, "ada")
        assert len(journal.overview()) == 3
        assert purged(url, 1500.0).flows == 0
        assert purged(url, 3000.0).statuses == {"failed": 1}
        assert kept(url) == {
            "ada": (False, False, False, False),
            "bob": (False, False, False, False),
            "cleo": (True, True, True, True),
        }
        with pytest.raises(NotRetryable, match="purged"):
            journal.retry("bob", "batch")

    def test_names_too(self, url: str, journals: Journals) -> None:
        """With `names` the rows go as well, of flows that were purged before too."""
        journal, clock = three(journals, url)
        flows = {row.name: row.id for row in journal.overview()}
        journal.plan_retries("killed before it was done", dict.fromkeys(flows.values(), 1))
        purged(url, 1500.0)
        assert journal.planned("killed before it was done")[0] == 2
        assert purged(url, 3000.0, names=True).flows == 2
        assert journal.planned("killed before it was done")[0] == 1
        assert [row.name for row in journal.overview()] == ["cleo"]
        with pytest.raises(NoSuchFlow):
            journal.history(1)
        clock.now = 4000.0
        start(journal, "ada")
        assert {row.name: row.status for row in journal.overview()}["ada"] == "new"

    def test_jobs(self, url: str, journals: Journals) -> None:
        """Those that ended long ago go; those that have not stay, and so do the audit's rows."""
        journal, clock = three(journals, url)
        for uid in ("a" * 32, "b" * 32):
            journal.jobs.make(uid, "cancel", "{}", "{}", ADA.does("bulk"))
        journal.jobs.stop("a" * 32, ADA.does("bulk"))
        purged(url, clock.now, "batch")
        purged(url, clock.now)
        assert len(journal.jobs.page().rows) == 2
        purged(url, clock.now + 1)
        assert [job.uid for job in journal.jobs.page().rows] == ["b" * 32]
        assert len(journal.audit(Deeds(action="bulk"))) == 3

    def test_one_batch(self, url: str, journals: Journals) -> None:
        """Other batches are left alone, and an empty one goes with its names."""
        three(journals, url)
        assert purged(url, 3000.0, "other").flows == 0
        assert purged(url, 3000.0, "batch", names=True).flows == 2

    def test_beside_a_worker(self, url: str, journals: Journals) -> None:
        """What runs is never purged, and goes on."""
        journal = journals.open(url)
        (ada,) = run(journal, "ada")
        ada.event()
        assert purged(url, 1e12).flows == 0
        ada.event()
        assert (ada.released, ada.lost) == ([1, 2], [])

    def test_workers_that_nothing_names(self, url: str, journals: Journals) -> None:
        """Rows of dead workers go with the last entry that names them; living ones stay."""
        first = journals.open(url, clock=Time(1.0))
        end(run(first, "ada")[0])
        alive = journals.open(url, clock=Time(1.0))
        run(alive, "bob")
        first.close()
        assert purged(url, 0.5).workers == 0
        assert purged(url, 3000.0).workers == 1
        assert [worker.alive for worker in alive.workers()] == [True]
