"""Every target, with its corpus and with inputs that are broken at random, but always the same."""

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutating import mutated
from tests.fuzz.target import CORPUS
from tests.fuzz.targets import TARGETS

LEARNT = CORPUS / "README.md"

PART = 1 if os.environ.get("EVERY_MOMENT") else 2
"""Each so many-th of a target's examples is tried; `make fuzz` goes on for as long as it may."""


@pytest.mark.parametrize("name", TARGETS)
def test_corpus(name: str) -> None:
    """Every input that was ever of use leads to a value or a defined error."""
    for path in TARGETS[name].corpus():
        TARGETS[name].attempt(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_broken_inputs(name: str) -> None:
    """What real inputs become when they are broken leads to a value or a defined error."""
    target = TARGETS[name]
    inputs = target.inputs()

    @settings(
        max_examples=target.examples // PART,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(inputs), st.randoms(use_true_random=False))
    def attempt(data, random) -> None:
        target.attempt(mutated(data, random, inputs))

    attempt()


def test_what_was_learnt_is_told() -> None:
    """Every input of the corpus has its line in its README, and belongs to a target."""
    told = {line.split("`")[1] for line in LEARNT.read_text().splitlines() if line[:3] == "| `"}
    kept = {path.relative_to(CORPUS).as_posix() for path in CORPUS.glob("*/*")}
    assert told == kept
    assert {path.name for path in CORPUS.iterdir() if path.is_dir()} <= set(TARGETS)
