"""Whole worlds of one dilated wormhole: nothing is lost, doubled or reordered on any subchannel."""

import pytest

from tests.simulation import crashes
from tests.simulation.dilation.histories import HISTORIES, Dilated
from tests.simulation.dilation.running import KINDS, run

SAMPLE = 3
"""Points of each history that are looked at here."""


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.name)
def test_some_points(history: Dilated) -> None:
    """Wherever a process dies, each end gets every record once, in order, and every end."""
    for played in crashes.every_point(history, most=SAMPLE):
        assert not played.problem, str(played)


@pytest.mark.parametrize("kind", KINDS)
def test_some_seeds(kind: str) -> None:
    """Whatever goes wrong, and whoever is at the other end."""
    for seed in range(100, 104):
        outcome = run(seed, kinds=(kind,))
        assert not outcome.problem, f"{outcome.problem}\n{outcome.replay}"


LEARNT = {
    61: {},  # what came for a half closed subchannel after a restart was dropped
    116: {"line cut behind bytes": 0.1, "slowest": 3.0},  # an old connection was taken for a new
    78: {"death behind COMMIT": 0.1, "death before COMMIT": 0.1},  # a state was one entry older
}
"""Seeds that once failed, and what was learnt from each."""


@pytest.mark.parametrize("seed", LEARNT)
def test_a_seed_that_once_failed(seed: int) -> None:
    """What once went wrong does not go wrong again."""
    outcome = run(seed, LEARNT[seed])
    assert not outcome.problem, f"{outcome.problem}\n{outcome.replay}"


def test_the_same_seed_is_the_same_world() -> None:
    """A seed gives the same trace each time, byte for byte."""
    first = run(7)
    assert run(7).trace == first.trace
    assert len(first.trace) > 10
