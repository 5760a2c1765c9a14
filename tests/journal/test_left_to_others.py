"""What it costs to leave flows to other workers: `take(without=...)`, with thousands of ids.

A worker that cannot load some flows asks like this twice a second. SQLite's instructions are
counted, as in `test_finished`.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast_journal import NewFlow, SqlJournal
from tests.journal.conftest import Journals
from tests.journal.test_finished import Steps, steps

__all__ = ["steps"]

FEW, MANY = 250, 4000


@pytest.fixture(params=[FEW, MANY], ids=["few", "many"])
def waiting(
    request: pytest.FixtureRequest, steps: Steps, tmp_path: Path, journals: Journals
) -> SqlJournal:
    """A journal in which so many flows wait, and the name of the first is known."""
    return wait(journals, tmp_path / "journal.db", request.param)


def wait(journals: Journals, path: Path, count: int) -> SqlJournal:
    journal = journals.open(f"sqlite:///{path}")
    names = ["ours", *(f"other {number}" for number in range(count))]
    journal.start_flows("batch", [NewFlow(name, "test", b"p") for name in names])
    return journal


def others(journal: SqlJournal) -> list[int]:
    return [row.id for row in journal.overview() if row.name != "ours"]


def cost(steps: Steps, call: Callable[[], object]) -> int:
    call()  # what is made once is made
    before = steps.count
    call()
    return steps.count - before


def take_and_give_back(journal: SqlJournal, without: list[int]) -> None:
    assert [flow.name for flow in journal.take(without=without)] == ["ours"]
    journal.give_back()


def test_no_more_than_each_once(steps: Steps, tmp_path: Path, journals: Journals) -> None:
    """Sixteen times as many flows, each of them left to others, cost sixteen times as much."""
    few, many = (wait(journals, tmp_path / f"{n}.db", n) for n in (FEW, MANY))
    costs = []
    for journal in (few, many):
        without = others(journal)
        costs.append(cost(steps, lambda j=journal, w=without: take_and_give_back(j, w)))
    assert costs[1] <= costs[0] * (MANY // FEW) * 1.2


def test_no_more_than_taking_them(
    waiting: SqlJournal, steps: Steps, tmp_path: Path, journals: Journals
) -> None:
    """To pass over a flow costs less than to take it."""
    without = others(waiting)

    def take_all() -> None:
        assert len(waiting.take()) == len(without) + 1
        waiting.give_back()

    passing = cost(steps, lambda: take_and_give_back(waiting, without))
    assert passing < cost(steps, take_all)


def test_nothing_where_none_waits(waiting: SqlJournal, steps: Steps) -> None:
    """While the others have them, a look costs the same as one that leaves nothing to anybody."""
    without = others(waiting)
    waiting.take()
    look = cost(steps, waiting.take)
    assert cost(steps, lambda: waiting.take(without=without)) <= look + 5
