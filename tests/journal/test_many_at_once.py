"""What is asked of many flows: in small transactions, and once, whoever is killed in between."""

import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from holdfast_journal import CANCEL, NewFlow, SqlJournal
from holdfast_journal.ownership import asking, retrying
from holdfast_journal.store import database
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import entries, flows, plans
from tests.cli.journals import move, start
from tests.journal.conftest import Journals
from tests.journal.helpers import at_once

PLAN = "a plan"
NAMES = "abcdefgh"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two flows in each transaction."""
    monkeypatch.setattr(retrying, "AT_ONCE", 2)
    monkeypatch.setattr(asking, "AT_ONCE", 2)


@pytest.fixture
def journal(journals: Journals) -> SqlJournal:
    """Eight flows that have failed."""
    return failed(journals.open("sqlite://"))


@pytest.fixture
def either(url: str, journals: Journals) -> SqlJournal:
    """The same, in a database of each kind."""
    return failed(journals.open(url))


def failed(journal: SqlJournal) -> SqlJournal:
    fail(start(journal, *NAMES).values())
    return journal


def fail(some: Collection[Any]) -> None:
    for flow in some:
        move(flow, "failed", finished=True)


def attempts(journal: SqlJournal) -> dict[str, int]:
    return {row.name: row.attempt for row in journal.overview()}


def ids(journal: SqlJournal) -> dict[str, int]:
    return {row.name: row.id for row in journal.overview()}


def plan(journal: SqlJournal) -> None:
    journal.plan_retries(PLAN, dict.fromkeys(ids(journal).values(), 1))


class TestRetrying:
    def test_each_is_told(self, either: SqlJournal) -> None:
        """A plan is carried out in parts; afterwards nothing is left of it."""
        assert either.planned(PLAN) == (0, None)
        plan(either)
        left, since = either.planned(PLAN)
        assert left == len(NAMES)
        assert since is not None
        told = list(either.retry_planned(PLAN))
        assert [len(each) for each in told] == [2, 2, 2, 2]
        assert {(each.attempt, each.why_not) for some in told for each in some} == {(2, None)}
        assert set(attempts(either).values()) == {2}
        assert {row.status for row in either.overview()} == {"new"}
        assert either.planned(PLAN) == (0, None)
        assert list(either.retry_planned(PLAN)) == []

    def test_whoever_goes_on_retries_the_others(self, either: SqlJournal) -> None:
        """Killed behind any part, with flows that were retried failing again meanwhile."""
        plan(either)
        for _ in NAMES[::2]:
            next(either.retry_planned(PLAN))  # and then its process is killed
            again = either.take()
            assert len(again) == 2
            fail(again)
        assert set(attempts(either).values()) == {2}
        assert either.planned(PLAN) == (0, None)

    def test_a_part_that_cannot_be_written(
        self, journal: SqlJournal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is not told, and stays on the plan as a whole."""
        plan(journal)

        def fails(*_: object) -> None:
            raise RuntimeError("killed")

        with monkeypatch.context() as patched:
            patched.setattr(retrying.messages, "drop", fails)
            with pytest.raises(RuntimeError):
                next(journal.retry_planned(PLAN))
        assert set(attempts(journal).values()) == {1}
        assert journal.planned(PLAN)[0] == len(NAMES)

    def test_what_has_changed_since(self, journal: SqlJournal) -> None:
        """Flows that others retried, that went well, or that are gone, are left and told."""
        plan(journal)
        journal.retry("a", None)
        fail(journal.take())
        journal.retry("b", None)
        [b] = journal.take()
        move(b, "done", finished=True, shred=True)
        gone = ids(journal)["c"]
        with journal._database.writing() as connection:
            connection.execute(delete(entries).where(entries.c.flow_id == gone))
            connection.execute(delete(flows).where(flows.c.id == gone))
        told = {each.id: each.why_not for some in journal.retry_planned(PLAN) for each in some}
        named = ids(journal)
        assert told[named["a"]] == "was retried already"
        assert told[named["b"]] == "was retried already"
        assert told[gone] == "was purged"
        assert [told[named[name]] for name in "defgh"] == [None] * 5

    def test_two_processes_at_once(self, either: SqlJournal) -> None:
        """Of the same command: one plan, and each flow once."""
        plan(either)
        either.plan_retries(PLAN, {ids(either)["a"]: 1})
        first, second = either.retry_planned(PLAN), either.retry_planned(PLAN)
        told = [next(first), next(second), next(first), next(second)]
        assert len({each.id for some in told for each in some}) == len(NAMES)
        assert set(attempts(either).values()) == {2}

    def test_a_key_that_is_missing(self, journals: Journals) -> None:
        """A flow that is sealed under another key is told, and the others are retried."""
        journal = journals.open("sqlite://")
        fail(start(journal, "a", "b").values())
        with journal._database.writing() as connection:
            connection.execute(
                flows.update().where(flows.c.name == "a").values(data_key=b"somebody else's")
            )
        plan(journal)
        told = {each.id: each.why_not for some in journal.retry_planned(PLAN) for each in some}
        named = ids(journal)
        assert "another master key" in str(told[named["a"]])
        assert told[named["b"]] is None

    def test_the_plan_holds_no_secret_and_no_name(self, journal: SqlJournal) -> None:
        """It holds numbers."""
        plan(journal)
        with journal._database.reading() as connection:
            rows = connection.execute(select(plans)).all()
        assert {type(value) for row in rows for value in row} == {int, float, str}
        assert {row.plan for row in rows} == {PLAN}


def changed(journal: SqlJournal, make: Callable[[bytes], bytes]) -> dict[str, str | None]:
    names = {flow: name for name, flow in ids(journal).items()}
    told = journal.change(names, make, "look")
    return {names[flow]: why for some in told for flow, why in some.items()}


class TestAsking:
    def test_those_that_are_not_over(self, journal: SqlJournal) -> None:
        """They are asked, and told; to ask again changes nothing."""
        journal.retry("a", None)
        journal.retry("h", None)
        named = ids(journal)
        for _ in range(2):
            told = list(journal.ask_all(named.values(), CANCEL))
            assert [len(each) for each in told] == [1, 0, 0, 1]
        asked = {row.name for row in journal.overview() if row.request == CANCEL}
        assert asked == {"a", "h"}

    def test_other_parameters(self, url: str, journals: Journals) -> None:
        """Whoever begins reads them; who has begun is asked; and what cannot be is told."""
        journal = journals.open(url)
        flow = start(journal, "runs", "over", "gone", "ends")
        move(flow["runs"], "waiting")
        move(flow["over"], "failed", finished=True)
        move(flow["gone"], "done", finished=True, shred=True)
        journal.ask("ends", None, CANCEL)
        journal.give_back()
        journal.start_flows("default", [NewFlow("new", "provision", b"parameters")])
        told = changed(journal, lambda params: params + b" and more")
        assert {name: why for name, why in told.items() if why is not None} == {
            "gone": "has no parameters any more: they were shredded or purged",
            "ends": "was asked to end",
        }
        asked = {row.name: row.request for row in journal.overview()}
        assert asked == {"runs": "look", "over": None, "gone": None, "ends": CANCEL, "new": None}
        journal.retry("over", None)
        params = {flow.name: flow.params for flow in journal.take()}
        assert params.pop("ends") == b"parameters"
        assert params == dict.fromkeys(["runs", "over", "new"], b"parameters and more")

    def test_parameters_that_cannot_be_changed(self, journal: SqlJournal) -> None:
        """The reason is told, and they stay."""

        def refuses(_: bytes) -> bytes:
            raise ValueError("cannot be changed")

        assert changed(journal, refuses) == dict.fromkeys(NAMES, "cannot be changed")

    def test_an_answer_takes_back_its_own_request(self, journals: Journals) -> None:
        """What was asked since stays."""
        journal = journals.open("sqlite://")
        start(journal, "ann", "bob")
        named = ids(journal)
        journal.ask("ann", None, "look")
        journal.ask("bob", None, CANCEL)
        journal.answered([(named["ann"], "look"), (named["bob"], "look")])
        assert {row.name: row.request for row in journal.overview()} == {"ann": None, "bob": CANCEL}


def test_others_get_their_turn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two of many transactions another process can write, which has waited since then."""
    monkeypatch.setattr(database, "REST", 0.5)
    url = f"sqlite:///{folder / 'h.db'}"
    order: list[str] = []
    begun = threading.Event()

    def many() -> None:
        for _ in range(2):
            with one.writing_in_turn():
                begun.set()
                order.append("one of many")

    def another() -> None:
        begun.wait()
        with other.writing():
            order.append("another")

    one, other = Database.open(url), Database.open(url)
    try:
        at_once([many, another])
    finally:
        one.close()
        other.close()
    assert order == ["one of many", "another", "one of many"]
