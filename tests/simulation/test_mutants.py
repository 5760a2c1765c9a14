"""The simulator finds what is broken: `make mutants` tries all mutants, and here are some."""

import re

import pytest

from holdfast_journal.commits import statements
from holdfast_journal.commits.threaded import ThreadedWriter
from tests.simulation.mutants import MUTANTS, Gone, Patches
from tests.simulation.mutants.hunting import search
from tests.simulation.running import run

pytestmark = pytest.mark.long

QUICK = {
    "released-before-commit": "not durable",
    "closed-before-release": "closes before it has released",
    "processed-not-saved": "times in attempt|does not lead to its checkpoint",
    "fresh-ciphertext-on-resend": "two things under",
    "published-not-sealed": "not sealed",
    "told-before-it-is-good": "does not work yet",
    "done-before-confirmed": "is done, and its recipient has 0",
    "chosen-before-commit": "chooses a connection, which is not durable",
    "port-not-durable": "has said where it is",
    "no-fresh-keys": "under one key and nonce",
    "acknowledged-before-durable": "whose effect is not durable",
    "number-reused": "two things as record|something else as record|never comes to its end",
    "old-connection-accepted": "never comes to its end",
    "sent-before-plan": "which is not durable",
    "arrival-acknowledged-early": "is acknowledged and not durable",
    "parked-unconfirmed": "which does not watch for it",
    "please-again": "says please twice",
}
"""Mutants that are found within some seeds, and what they violate, as a pattern."""


@pytest.mark.parametrize("name", QUICK)
def test_it_is_found(name: str) -> None:
    """A seed fails under this mutant, and is well without it."""
    found = search(name)
    assert re.search(QUICK[name], found.problem)


def test_what_they_break_is_there() -> None:
    """No mutant lags behind the code; and each is taken off again."""
    before = vars(ThreadedWriter).copy()
    for mutant in MUTANTS.values():
        with mutant.broken():
            pass
    assert vars(ThreadedWriter).copy() == before


def test_a_mutant_of_what_is_gone() -> None:
    """A mutant says so if there is nothing of that name to be broken."""
    patches = Patches()
    with pytest.raises(Gone, match="ThreadedWriter has no write_twice"):
        patches.wrap(ThreadedWriter, "write_twice", lambda real: real)
    with pytest.raises(Gone, match="does not say"):
        patches.text(statements, "_UPDATE", "SELECT", "")


def test_nothing_stays_broken() -> None:
    """The same seed is the same world before and after a mutant."""
    before = run(3).digest
    assert MUTANTS["released-before-commit"].run(3).problem
    assert run(3).digest == before
