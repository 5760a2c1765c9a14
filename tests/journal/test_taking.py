"""Which flows take() hands out, and when: parked ones, failing ones, and none twice."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from sqlalchemy import event, select
from sqlalchemy.engine import Connection, Engine

from holdfast_journal import DatabaseUnusable, NewFlow, SqlJournal
from holdfast_journal.ownership.due import LONGEST_PAUSE
from holdfast_journal.ownership.values import Unfinished
from holdfast_journal.store.schema import flows
from tests.journal.conftest import Journals
from tests.journal.helpers import at_commit, locked, run, start

HOUR = 3600.0


@define
class Clock:
    """Seconds since the epoch, turned by hand."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def names(journal: SqlJournal, **options: object) -> list[str]:
    """The flows that take() gives."""
    return [flow.name for flow in journal.take(**options)]  # type: ignore[arg-type]


@contextmanager
def steps() -> Iterator[list[int]]:
    """Counts the instructions of SQLite's machine."""
    counted = [0]

    def count() -> int:
        counted[0] += 1
        return 0

    def watch(connection: Any, *_: object) -> None:
        connection.set_progress_handler(count, 1)

    event.listen(Engine, "checkout", watch)
    try:
        yield counted
    finally:
        event.remove(Engine, "checkout", watch)


class TestParking:
    def test_a_parked_flow_waits_for_its_time(
        self, url: str, journals: Journals, clock: Clock
    ) -> None:
        """A flow given back with a time is taken then, by anybody, and not before."""
        mine, other = journals.open(url, clock=clock), journals.open(url, clock=clock)
        (ada,) = run(mine, "ada")
        mine.give_back([ada.taken.id], wake_at=1010.0)
        assert mine.overview()[0].wake_at == 1010.0
        assert names(mine) == names(other) == []
        clock.now = 1010.0
        assert names(other) == ["ada"]
        assert mine.overview()[0].wake_at is None
        other.give_back()
        assert names(mine) == ["ada"]

    def test_a_clock_that_was_set_back(self, url: str, journals: Journals, clock: Clock) -> None:
        """What no worker would have parked for so long is taken: the clock was another one then."""
        mine, other = journals.open(url, clock=clock), journals.open(url, clock=clock)
        (ada,) = run(mine, "ada")
        mine.give_back([ada.taken.id], wake_at=clock.now + LONGEST_PAUSE)
        assert names(other) == []
        assert not other.checks.unattended()
        clock.now -= 1.0
        (left,) = other.checks.unattended()
        assert left.name == "ada"
        assert names(other) == ["ada"]

    def test_a_request_wakes_a_parked_flow(
        self, url: str, journals: Journals, clock: Clock
    ) -> None:
        """A parked flow of which something is asked is taken at once, and no other."""
        mine, other = journals.open(url, clock=clock), journals.open(url, clock=clock)
        run(mine, "ada", "bob")
        mine.give_back(wake_at=1010.0)
        assert other.ask("bob", None, "cancel")
        (bob,) = mine.take(batch="batch", names=["ada", "bob"], kinds=["test"], limit=5)
        assert (bob.name, bob.request) == ("bob", "cancel")
        assert mine.requests() == [(bob.id, "cancel")]

    def test_retry_forgets_the_time(self, url: str, journals: Journals, clock: Clock) -> None:
        """A flow that is put back to its beginning is there at once, with no failures counted."""
        journal = journals.open(url, clock=clock)
        (ada,) = run(journal, "ada")
        assert journal.give_back_failed(ada.taken.id, "ValueError in mint", 1001.0) == 1
        clock.now = 1001.0
        (ada.taken,) = journal.take()
        ada.__attrs_post_init__()
        ada.status, ada.finished = "failed", True
        ada.event()
        journal.retry("ada", None)
        (row,) = journal.overview()
        assert (row.failures, row.trouble, row.wake_at) == (0, None, None)
        (taken,) = journal.take()
        assert (taken.failures, taken.trouble) == (0, None)

    def test_the_longest_waiting_comes_first(
        self, url: str, journals: Journals, clock: Clock
    ) -> None:
        """Flows are taken in the order in which they became due."""
        mine, other = journals.open(url, clock=clock), journals.open(url, clock=clock)
        runners = {runner.taken.name: runner for runner in run(mine, "ada", "bob", "cy")}
        mine.give_back([runners["ada"].taken.id], wake_at=1030.0)
        mine.give_back([runners["bob"].taken.id], wake_at=1020.0)
        mine.give_back([runners["cy"].taken.id], wake_at=1010.0)
        clock.now = 1025.0
        start(mine, "dee")
        clock.now = 1050.0
        assert names(other, limit=1) == ["cy"]
        assert names(other) == ["bob", "dee", "ada"]

    def test_again(self, url: str, journals: Journals, clock: Clock) -> None:
        """Who takes again gets what is due, in the same order, and no flow of anybody else's."""
        mine, other = journals.open(url, clock=clock), journals.open(url, clock=clock)
        run(other, "zoe")
        for name in ("ada", "bob", "cy"):
            start(mine, name)
            clock.now += 1.0
        assert names(mine, limit=1) == ["ada"]
        assert names(mine, limit=1, again=True) == ["bob"]
        start(mine, "dee")
        assert names(mine, again=True) == ["cy", "dee"]
        assert names(mine, again=True) == []
        other.close()
        assert names(mine) == ["zoe"]

    def test_who_looks_around_asks_once(
        self, folder: Path, upgraded_file: Path, journals: Journals, clock: Clock
    ) -> None:
        """While nothing is committed only time matters, and SQLite is asked nothing."""
        url = f"sqlite:///{shutil.copy(upgraded_file, folder / 'journal.db')}"
        mine, other = journals.open(url, clock=clock), journals.open(url, clock=clock)
        runners = {runner.taken.name: runner.taken.id for runner in run(mine, "ada", "bob", "cy")}
        mine.give_back([runners["ada"]], wake_at=1010.0)
        watcher = mine.watcher("ws://one", "app")
        mine.watch(watcher.id, {runners["bob"]: ("mailbox", "side")})
        mine.park({runners["bob"]: 1020.0}, 1)
        for now, found in ((1001.0, []), (1010.0, ["ada"]), (1011.0, []), (1020.0, ["bob"])):
            clock.now = now
            assert names(other) == found
            assert names(other) == mine.requests() == []
            with statements() as said:
                assert names(other) == mine.requests() == []
            assert [one for one in said if "holdfast_flows" in one] == []
        assert mine.ask("cy", None, "cancel")
        assert mine.requests() == mine.requests() == [(runners["cy"], "cancel")]
        mine.give_back()
        assert names(other) == ["cy"]


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is said to the database meanwhile."""
    said: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


class TestFailing:
    def test_failures_are_counted(self, url: str, journals: Journals, clock: Clock) -> None:
        """Each failure counts, others see it, and the next to take the flow is told."""
        mine, other = journals.open(url, clock=clock), journals.open(url, clock=clock)
        (ada,) = run(mine, "ada")
        assert mine.give_back_failed(ada.taken.id, "ValueError in one", 1001.0) == 1
        assert names(other) == []
        clock.now = 1001.0
        (taken,) = other.take()
        assert (taken.failures, taken.trouble) == (1, "ValueError in one")
        assert other.give_back_failed(taken.id, "KeyError in two", 1002.0) == 2
        (row,) = mine.overview()
        assert (row.failures, row.trouble, row.wake_at) == (2, "KeyError in two", 1002.0)

    def test_an_old_failure_is_forgotten(self, url: str, journals: Journals, clock: Clock) -> None:
        """An hour after the last failure the counting begins anew."""
        journal = journals.open(url, clock=clock)
        (ada,) = run(journal, "ada")
        for later, count in ((10.0, 1), (HOUR - 1, 2), (HOUR + 1, 1)):
            clock.now += later
            assert journal.give_back_failed(ada.taken.id, "", clock.now) == count
            assert names(journal) == ["ada"]

    def test_a_flow_of_others(self, url: str, journals: Journals, clock: Clock) -> None:
        """Whoever lost a flow neither counts its failures nor gives it away."""
        mine, other = journals.open(url, clock=clock), journals.open(url, clock=clock)
        (ada,) = run(mine, "ada")
        mine.give_back()
        assert names(other) == ["ada"]
        assert mine.give_back_failed(ada.taken.id, "", 0.0) == 0
        (row,) = mine.overview()
        assert (row.owner, row.failures) == (other.worker, 0)


class TestLeftToOthers:
    def test_what_one_worker_cannot_load(self, url: str, journals: Journals) -> None:
        """It is given back with the reason, and another worker takes it at once."""
        one, two = journals.open(url), journals.open(url)
        start(one, "ada", "bob")
        ada, _ = one.take()
        one.give_back_unloaded(ada.id, "cannot be loaded: for a test")
        assert one.take(without=[ada.id]) == []
        (taken,) = two.take()
        assert (taken.name, taken.failures, taken.deaths) == ("ada", 0, 0)
        assert taken.trouble == "cannot be loaded: for a test"
        two.forget_trouble(ada.id)
        assert [each.trouble for each in one.overview()] == [None, None]


class TestStrays:
    """Flows that a worker owns and does not run are found again."""

    def test_owned_from_birth_and_taken_in_parts(self, url: str, journals: Journals) -> None:
        """What was started with own=True is taken whatever was asked for before."""
        mine, other = journals.open(url), journals.open(url)
        new = [NewFlow(name, "test", b"") for name in ("ada", "bob", "cy")]
        mine.start_flows("batch", new, own=True)
        assert names(mine, names=["bob"]) == ["bob"]
        assert names(mine, limit=1) == ["ada"]
        assert names(other) == []
        assert names(mine) == ["cy"]
        assert names(mine) == []

    def test_a_take_that_failed(self, journals: Journals) -> None:
        """Flows that were taken, by a transaction that then seemed to fail, are taken again."""
        journal = journals.open("sqlite://")
        assert names(journal) == []
        start(journal, "ada")

        def lose_the_answer(connection: Connection) -> None:
            if connection.scalar(select(flows.c.owner)) is not None:
                connection.exec_driver_sql("COMMIT")
                raise locked()

        with at_commit(lose_the_answer), pytest.raises(DatabaseUnusable, match="locked"):
            journal.take()
        assert journal.overview()[0].owner == journal.worker is not None
        assert names(journal) == ["ada"]
        assert names(journal) == []

    def test_a_lost_flow(self, url: str, journals: Journals) -> None:
        """A flow whose commit was refused is still ours, and is taken again."""
        journal = journals.open(url)
        (ada,) = run(journal, "ada")
        with ada.taken.journal.process():
            ada.taken.journal.add_task(1, "mint", b"", "key", 0.0)
        with ada.taken.journal.process():
            ada.taken.journal.add_task(1, "mint", b"", "the same number again", 0.0)
        assert len(ada.lost) == 1
        assert names(journal) == ["ada"]

    def test_an_old_runner_does_not_free_the_new_one(self, url: str, journals: Journals) -> None:
        """A flow that was given back and taken again stays taken when its old runner is fenced."""
        journal = journals.open(url)
        (ada,) = run(journal, "ada")
        journal.give_back()
        assert names(journal) == ["ada"]
        ada.event()
        assert len(ada.lost) == 1
        assert names(journal) == []


def test_a_look_costs_the_same_however_many_are_not_there(journals: Journals) -> None:
    """Running, parked and watched flows are not read by a look that finds nothing."""
    clock = Clock()
    journal = journals.open("sqlite://", clock=clock)
    watcher = journal.watcher("ws://here/v1", "app").id
    costs = []
    for batch in ("few", "many"):
        count = 5 if batch == "few" else 500
        journal.start_flows(batch, [NewFlow(str(n), "test", b"") for n in range(count)])
        ids = [flow.id for flow in journal.take()]
        journal.give_back(ids[::3], wake_at=1500.0)
        journal.watch(watcher, {flow: (str(flow), "side") for flow in ids[1::3]})
        journal.park(dict.fromkeys(ids[1::3], 1e6), 1)
        with steps() as counted:
            assert journal.take(kinds=["test"], limit=500) == []
            assert journal.requests() == []
        costs.append(counted[0])
    assert costs[1] < costs[0] + 20


class TestRoom:
    def test_only_such_as_have_begun(self, url: str, journals: Journals) -> None:
        """Who has not begun is left where it is, unless something is asked of it."""
        journal = journals.open(url)
        (ada,) = run(journal, "ada")
        ada.event()
        start(journal, "bob", "cy")
        journal.give_back()
        assert names(journal, begun=True) == ["ada"]
        assert journal.ask("cy", None, "cancel")
        assert names(journal, begun=True) == ["cy"]
        assert names(journal) == ["bob"]

    def test_how_many_there_are(self, url: str, journals: Journals) -> None:
        """Of the batch, names and kinds that are asked for."""
        journal = journals.open(url)
        for runner in run(journal, "ada", "bob"):
            runner.event()
        start(journal, "cy")
        journal.start_flows("another", [NewFlow("dee", "other", b"")])
        assert journal.count_unfinished() == Unfinished(begun=2, new=2, unowned=0)
        journal.give_back()
        assert journal.count_unfinished(batch="batch") == Unfinished(begun=2, new=1, unowned=2)
        assert journal.count_unfinished(kinds=["other"]) == Unfinished(begun=0, new=1, unowned=0)
        assert journal.count_unfinished(names=["ada", "cy"]) == Unfinished(
            begun=1, new=1, unowned=1
        )

    def test_what_a_worker_has_to_say(self, url: str, journals: Journals) -> None:
        """It is there for everybody while the worker lives, until it says something else."""
        mine, other = journals.open(url), journals.open(url)
        assert other.notices() == []
        mine.tell("too much to do")
        assert other.notices() == [(mine.worker, "too much to do")]
        mine.tell(None)
        assert other.notices() == []
        mine.tell("again")
        mine.close()
        assert other.notices() == []
