"""Flows that end their workers: found among those that were there too."""

from collections.abc import Iterator
from typing import Any

import pytest

from holdfast_journal import SqlJournal, TakenFlow
from holdfast_journal.ownership.suspects import MOST_DEATHS
from tests.journal.conftest import Journals
from tests.journal.helpers import Runner, start


@pytest.fixture
def alive(url: str, journals: Journals) -> Iterator["Service"]:
    yield Service(url, journals)


class Service:
    """A worker that dies, again and again, and one after it that takes what it left."""

    def __init__(self, url: str, journals: Journals) -> None:
        self.url, self.journals = url, journals
        self.journal = self.open()
        self.deaths = 0

    def open(self) -> SqlJournal:
        return self.journals.open(self.url)

    def dies(self) -> None:
        """As by kill -9: its lock is free, and nothing was given back."""
        self.journal.close()
        self.journal = self.open()
        self.deaths += 1

    def take(self, **options: Any) -> list[TakenFlow]:
        return self.journal.take(**options)

    def look(self) -> list[TakenFlow]:
        """As the engine looks: suspects when nobody else has just been taken."""
        taken = self.take(suspects=False)
        if any(flow.deaths for flow in taken):
            return taken
        return taken + self.take(suspects=True)


def test_counted_in_a_row(alive: Service) -> None:
    """Every worker that dies with a flow is counted, until the flow is cleared or given back."""
    start(alive.journal, "ada")
    for deaths in (0, 1, 2):
        (ada,) = alive.take()
        assert ada.deaths == deaths
        assert alive.journal.overview()[0].deaths == deaths
        alive.dies()
    (ada,) = alive.take()
    alive.journal.survived([ada.id])
    alive.dies()
    assert [flow.deaths for flow in alive.take()] == [1]
    alive.journal.give_back()
    assert [flow.deaths for flow in alive.take()] == [0]


@pytest.mark.long
def test_the_one_among_many(alive: Service) -> None:
    """A flow that ends whoever takes it is found, all others go on, and none of them is blamed."""
    everybody = [f"flow {number}" for number in range(300)]
    start(alive.journal, *everybody)
    bad, blamed = "flow 77", ""
    while not blamed:
        well = False
        while not well:
            taken = {flow.name: flow for flow in alive.look()}
            blamed = " ".join(name for name, f in taken.items() if f.deaths >= MOST_DEATHS)
            if bad in taken and not blamed:
                alive.dies()
                continue
            alive.journal.survived([flow.id for flow in taken.values()])
            well = bool(blamed) or not taken
        assert blamed == bad
    assert alive.deaths <= 14
    rest = [row for row in alive.journal.overview() if row.name != bad]
    assert {row.deaths for row in rest} == {0}
    assert {row.owner for row in rest} == {alive.journal.worker}


def test_alone_at_once_if_there_is_no_other(alive: Service) -> None:
    """Where one flow is the only suspect, eight deaths are enough."""
    start(alive.journal, "ada")
    while all(flow.deaths < MOST_DEATHS for flow in alive.look() or alive.look()):
        alive.dies()
    assert alive.deaths == 8


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_killed_again_and_again(alive: Service) -> None:
    """Flows that wait on a worker that is killed again and again are never blamed, and are run."""
    start(alive.journal, *[f"flow {number}" for number in range(20)])
    for _ in range(MOST_DEATHS + 2):
        for _ in range(2):  # twice it is killed at once, then after a while
            assert all(flow.deaths < MOST_DEATHS for flow in alive.look())
            alive.dies()
        seen = 0
        while seen < 20:
            taken = alive.look()
            assert taken
            seen += len(taken)
            alive.journal.survived([flow.id for flow in taken])
        alive.dies()


def test_retry_forgets(alive: Service) -> None:
    """An operator who tries a flow again gives it all its chances."""
    start(alive.journal, "ada")
    for _ in range(4):
        (taken,) = alive.take()
        alive.dies()
    (taken,) = alive.take()
    ada = Runner(taken)
    ada.status, ada.finished = "failed", True
    ada.event()
    alive.journal.retry("ada", None)
    assert [flow.deaths for flow in alive.take()] == [0]
