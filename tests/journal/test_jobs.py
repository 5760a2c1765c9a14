"""Jobs: what is asked of many flows is done once, whichever process is killed in between."""

from collections.abc import Callable, Mapping

import pytest
from sqlalchemy import select, update

from holdfast_journal import CANCEL, Actor, Ask, Change, Deeds, Retry, SqlJournal, Work
from holdfast_journal.ownership import retrying
from holdfast_journal.ownership.jobs import LEASE, MOST_NOTES
from holdfast_journal.store.schema import jobs, plans
from tests.cli.journals import move, start
from tests.journal.conftest import Journals

ADA = Actor("ada", "192.0.2.1", "page", "they asked")
UID = "0123456789abcdef" * 2
NAMES = "abcdefgh"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two flows in each transaction."""
    monkeypatch.setattr(retrying, "AT_ONCE", 2)


@pytest.fixture
def journal(url: str, journals: Journals) -> SqlJournal:
    """Eight flows that have failed, in a database of each kind, and a job."""
    journal = journals.open(url)
    for flow in start(journal, *NAMES).values():
        move(flow, "failed", finished=True)
    return made(journal)


@pytest.fixture
def quick(journals: Journals) -> SqlJournal:
    """The same in memory."""
    journal = journals.open("sqlite://")
    for flow in start(journal, *NAMES).values():
        move(flow, "failed", finished=True)
    return made(journal)


def made(journal: SqlJournal) -> SqlJournal:
    assert journal.jobs.make(UID, "retry", "{}", "{}", ADA.does("bulk", "retry all flows"))
    return journal


def plan(journal: SqlJournal, runner: str = "one") -> bool:
    attempts = {row.id: row.attempt for row in journal.overview()}
    return journal.jobs.plan(UID, runner, attempts)


def step(journal: SqlJournal, runner: str = "one", work: Work | None = None) -> bool:
    return journal.jobs.step(UID, runner, work or Retry(), ADA.does("retry", f"job {UID}"))


def attempts(journal: SqlJournal) -> Mapping[str, int]:
    return {row.name: row.attempt for row in journal.overview()}


def counts(journal: SqlJournal) -> tuple[str, int, int, int]:
    job = journal.jobs.find(UID)
    assert job is not None
    return job.state, job.total, job.done, job.refused


def test_a_job_from_its_wish_to_its_end(journal: SqlJournal) -> None:
    """It is counted and audited in the transactions that do it, and made once."""
    assert not journal.jobs.make(UID, "cancel", "{}", "{}", ADA.does("bulk"))
    assert counts(journal) == ("new", 0, 0, 0)
    assert plan(journal)
    assert not plan(journal), "it was planned before"
    seen = [counts(journal)]
    while step(journal):
        seen.append(counts(journal))
    assert [done for _, _, done, _ in seen] == [0, 2, 4, 6, 8]
    assert counts(journal) == ("done", 8, 8, 0)
    assert set(attempts(journal).values()) == {2}
    assert journal.jobs.next("one") is None
    deeds = journal.audit(Deeds())
    assert [each.action for each in deeds] == ["retry"] * 8 + ["bulk"]
    assert {(each.who, each.origin, each.why) for each in deeds} == {
        ("ada", "192.0.2.1", "they asked")
    }
    (page,) = journal.jobs.page().rows
    assert page == journal.jobs.find(UID)


def test_what_somebody_else_did_meanwhile_stays(quick: SqlJournal) -> None:
    """A flow that was retried, purged or altered since is refused, by name, and counted."""
    plan(quick)
    quick.retry("a", None)
    while step(quick):
        pass
    assert counts(quick) == ("done", 8, 7, 1)
    job = quick.jobs.find(UID)
    assert job is not None
    assert job.notes == ["default/a was retried already"]
    assert set(attempts(quick).values()) == {2}


def test_one_runner_at_a_time(journals: Journals, url: str, journal: SqlJournal) -> None:
    """Another goes on with it after its lease, where the first was; the first then stops."""
    plan(journal)
    assert step(journal)
    assert journal.jobs.next("other") is None
    assert not step(journal, "other")
    assert not journal.jobs.keep(UID, "other")
    with journal._database.writing() as connection:
        connection.execute(update(jobs).values(runner_until=jobs.c.runner_until - LEASE - 1))
    assert journal.jobs.next("other") is not None
    assert step(journal, "other")
    assert not step(journal, "one")
    assert counts(journal)[2] == 4


def test_a_clock_that_was_set_back_keeps_nobody_out(quick: SqlJournal) -> None:
    """A lease that ends too far ahead counts for nothing."""
    plan(quick)
    with quick._database.writing() as connection:
        connection.execute(update(jobs).values(runner_until=jobs.c.runner_until + 86400))
    assert step(quick, "other")


def test_the_job_that_waits_longest_is_next(quick: SqlJournal) -> None:
    """So a small one does not wait for the end of a large one."""
    other = "f" * 32
    quick.jobs.make(other, "retry", "{}", "{}", ADA.does("bulk"))
    seen = []
    for _ in range(4):
        job = quick.jobs.next("one")
        assert job is not None
        seen.append(job.uid)
        assert quick.jobs.keep(job.uid, "one")
    assert seen == [UID, other, UID, other]


def test_stopping(journal: SqlJournal) -> None:
    """The flows that are left stay as they are."""
    plan(journal)
    step(journal)
    assert journal.jobs.stop(UID, ADA.does("bulk", "stopped"))
    assert not journal.jobs.stop(UID, ADA.does("bulk", "stopped"))
    assert not step(journal)
    assert counts(journal) == ("stopped", 8, 2, 0)
    assert sorted(attempts(journal).values()) == [1] * 6 + [2] * 2
    with journal._database.reading() as connection:
        assert not connection.execute(select(plans)).all()


def test_giving_up(quick: SqlJournal) -> None:
    """It says why, and leaves no plan."""
    plan(quick)
    quick.jobs.fail(UID, "one", "the reason")
    job = quick.jobs.find(UID)
    assert job is not None
    assert (job.state, job.notes, job.is_open) == ("failed", ["the reason"], False)
    assert quick.jobs.next("one") is None


def ask(journal: SqlJournal) -> Work:
    journal.retry("a", None)  # the others have ended
    return Ask(CANCEL)


def change(_: SqlJournal) -> Work:
    def make(params: bytes) -> bytes:
        raise ValueError("cannot be changed")

    return Change(make, "extend")


@pytest.mark.parametrize(("asked", "refused"), [(ask, 7), (change, 8)])
def test_other_work(quick: SqlJournal, asked: Callable[[SqlJournal], Work], refused: int) -> None:
    """Those to which it cannot be done are counted, and the first are named."""
    work = asked(quick)
    plan(quick)
    while step(quick, work=work):
        pass
    assert counts(quick) == ("done", 8, 8 - refused, refused)
    job = quick.jobs.find(UID)
    assert job is not None
    assert len(job.notes) == refused <= MOST_NOTES
