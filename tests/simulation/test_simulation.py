"""Whole worlds under many seeds: nothing is lost or done twice, and every ending is true."""

import os

import pytest

from tests.simulation.running import run
from tests.simulation.transfers import KINDS as TRANSFERS
from tests.simulation.watching import WATCHED

LEARNT = [
    61,  # a side that the server failed leaves its mailbox open after one attempt: that is meant
    83,  # a peer may say the same thing twice, and mean it twice
    2080,  # who comes again with an old code may meet the next flow under that number: `scared`
    2145,  # a closing that waits for its commit was taken for one that the server had cut
    3034,  # what a server forgot may be closed without a release
    5512,  # a database that refuses a commit after it was away does answer
    5148,  # a lease's thread died of a database that was away when it looked what it had lost
    6007,  # who meets a flow of ours that is cancelled waits for ever: that is meant
    4005,  # an allocation whose answer was lost is on a nameplate that nobody knows
    610,  # flows were lost sight of when the database went away just after they had been taken
    381,  # a flow that is given back because it cannot be loaded has outlived its process
    1112,  # each application has nameplates of its own: two flows may both have the number 7
]
"""Seeds that once failed, and what was learnt from each."""

LONG = [
    50785,  # suspects never had their turn where others waited for the same few places
]
"""Likewise, of worlds that take seconds: with EVERY_MOMENT set in the environment."""

EVERY = bool(os.environ.get("EVERY_MOMENT"))


@pytest.mark.parametrize("seed", [*LEARNT, *(LONG if EVERY else [])])
def test_a_seed_that_once_failed(seed: int) -> None:
    """What once went wrong does not go wrong again."""
    outcome = run(seed)
    assert not outcome.problem, f"{outcome.problem}\n{outcome.replay}"


TRANSFERS_LEARNT = [
    59,  # what was kept of a transfer that had failed was taken for the whole file
    145,  # likewise
    126,  # a worker that had lost the flow while it stood still put the file in its place later
    976,  # everything was sent, and what was told of it was not: the last report was under way
]
"""Likewise, of worlds in which all flows are transfers."""


@pytest.mark.parametrize("seed", TRANSFERS_LEARNT)
def test_a_transfer_that_once_failed(seed: int) -> None:
    """What once went wrong does not go wrong again."""
    outcome = run(seed, kinds=TRANSFERS)
    assert not outcome.problem, f"{outcome.problem}\n{outcome.replay}"


def test_some_seeds_of_transfers() -> None:
    """Files arrive whole, or whoever waits for them is told why not."""
    for seed in range(2000, 2006 if EVERY else 2003):
        outcome = run(seed, kinds=TRANSFERS)
        assert not outcome.problem, f"{outcome.problem}\n{outcome.replay}"


@pytest.mark.long
def test_some_seeds_of_guesses() -> None:
    """A code opens again after a wrong guess, each is counted, and no stranger is disturbed."""
    opened = 0
    for seed in range(4000 if EVERY else 4004, 4008):
        outcome = run(seed, kinds=("guessed",), peers=("mistypes", "guesses", "honest", "vanishes"))
        assert not outcome.problem, f"{outcome.problem}\n{outcome.replay}"
        opened += sum("[flow: a new wormhole]" in line for line in outcome.trace)
    assert opened > 5


def test_some_seeds_of_watching() -> None:
    """Whoever comes for a flow that is watched is heard, whatever gets lost on the way."""
    watched = 0
    for seed in range(6003, 6007):
        outcome = run(seed, WATCHED)
        assert not outcome.problem, f"{outcome.problem}\n{outcome.replay}"
        watched += outcome.counts["flow watched"]
    assert watched > 2


@pytest.mark.parametrize("first", range(1000, 1040, 20))
def test_some_seeds(first: int) -> None:
    """Under three seeds each all invariants hold; under EVERY_MOMENT, under eight.

    `make simulate` tries a thousand.
    """
    for seed in range(first, first + (8 if EVERY else 3)):
        outcome = run(seed)
        assert not outcome.problem, f"{outcome.problem}\n{outcome.replay}"


def test_the_same_seed_is_the_same_world() -> None:
    """A seed gives the same trace each time, byte for byte."""
    first, second = run(7), run(7)
    assert first.trace == second.trace
    assert len(first.trace) > 50
    assert run(8, kinds=TRANSFERS).trace == run(8, kinds=TRANSFERS).trace
