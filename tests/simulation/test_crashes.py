"""A process dies at each point of each canonical history, and the history ends as it should.

`make crashes` looks at all points, and at each pair in the shorter histories.
"""

import os

import pytest

from holdfast_journal.commits import threaded
from tests.simulation import crashes
from tests.simulation.histories import HISTORIES, History, named

SAMPLE = 4 if os.environ.get("EVERY_MOMENT") else 1
"""Points of each of the longer histories that are looked at here."""

MANY = 20
"""Points of the shortest one."""


def _well(history: History, most: int | None = None) -> None:
    for played in crashes.every_point(history, most=most):
        assert not played.problem, str(played)


def test_many_points_of_the_shortest() -> None:
    """Wherever the process dies, the secret arrives once, and nothing is left behind."""
    _well(named("hand over"), MANY)


@pytest.mark.parametrize("history", HISTORIES[1:], ids=lambda history: history.name)
def test_some_points(history: History) -> None:
    """Wherever the process dies, the history comes to its own ending."""
    _well(history, SAMPLE)


def test_a_second_death() -> None:
    """The next process may die, too."""
    history = named("hand over")
    for first in range(10, 100, 20):
        played = crashes.play(history, first, first + 7)
        assert not played.problem, str(played)


def test_two_deaths_are_two_deaths() -> None:
    """A process dies at the points that were asked for, and the same run dies there again."""
    history = named("hand over")
    played = crashes.play(history, 40, 60)
    told = [line for line in played.trace if " fault " in line]
    assert [line.rpartition(" ")[2] for line in told] == ["40", "60"]
    assert crashes.play(history, 40, 60).trace == played.trace


def test_a_writer_that_does_not_wait_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The enumeration fails if what a commit releases leaves before it is durable."""

    def hand_over(self: threaded.ThreadedWriter) -> None:
        for commit in self._turn:
            for call in commit.calls:
                self._releasing.run(call)
        real(self)

    real = threaded.ThreadedWriter._hand_over
    monkeypatch.setattr(threaded.ThreadedWriter, "_hand_over", hand_over)
    assert crashes.play(named("hand over")).problem
