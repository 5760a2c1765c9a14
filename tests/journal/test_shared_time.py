"""Workers whose clocks differ leave each other's parked flows alone."""

import time

import pytest

from holdfast_journal import SqlJournal
from holdfast_journal.workers.shared_time import COMPARE_EVERY, SharedTime
from tests.journal.conftest import Journals
from tests.journal.helpers import run
from tests.journal.postgres import Server


def slow() -> float:
    """A clock that is a quarter of an hour behind."""
    return time.time() - 900.0


def fast() -> float:
    """One that is as much ahead."""
    return time.time() + 900.0


@pytest.fixture
def shared_url(postgres: Server, upgraded: str) -> str:
    return postgres.database(upgraded)


def worker(journals: Journals, url: str, clock: object) -> SqlJournal:
    """One whose machine shows this time, and knows no better."""
    journal = journals.open(url, clock=clock)
    journal._held._time._compares = True
    return journal


@pytest.mark.parametrize("wrong", [slow, fast])
def test_clocks_that_differ(shared_url: str, journals: Journals, wrong: object) -> None:
    """Whoever parks a flow, nobody takes it before its time, and everybody may then."""
    right, other = worker(journals, shared_url, time.time), worker(journals, shared_url, wrong)
    (ada,) = run(right, "ada")
    for mine, theirs in ((right, other), (other, right)):
        mine.give_back([ada.taken.id], wake_at=mine._clock() + 300.0)
        assert mine.take() == theirs.take() == []
        [row] = right.overview()
        assert row.wake_at == pytest.approx(time.time() + 300.0, abs=30.0)
        # It is due once 300 seconds have passed for everybody.
        theirs._held._time._ahead += 330.0
        (ada.taken,) = theirs.take()
        theirs._held._time._ahead -= 330.0


def test_one_machine_has_one_clock(tmp_path: object, journals: Journals) -> None:
    """A file is used on one machine: its clock is the clock."""
    journal = journals.open(f"sqlite:///{tmp_path}/j.db", clock=slow)
    shared = SharedTime(journal._database, slow, True)
    assert shared.of(1000.0) == 1000.0


def test_a_clock_that_is_put_right(shared_url: str, journals: Journals) -> None:
    """Ours is compared with the server's again and again."""
    journal = journals.open(shared_url)
    late, uptime = [900.0], [0.0]
    shared = SharedTime(journal._database, lambda: time.time() - late[0], True, lambda: uptime[0])
    assert shared.now() == pytest.approx(time.time(), abs=30.0)
    late[0] = 0.0
    uptime[0] += COMPARE_EVERY
    assert shared.now() == pytest.approx(time.time(), abs=30.0)
