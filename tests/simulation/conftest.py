"""What the simulation leaves behind is cleared away by the test that left it."""

import gc
from collections.abc import Iterator

import pytest

from holdfast_journal import JournalError
from tests.harness.reactor import flush_logged_errors
from tests.simulation.kernel import Died


@pytest.fixture(autouse=True)
def what_the_dead_leave() -> Iterator[None]:
    """Let the failures that nobody of the dead can hear be told here, and not in a later test."""
    yield
    gc.collect()
    # What is left by now stays: the next test need not look at it again.
    gc.freeze()
    flush_logged_errors(Died, JournalError)
