"""What holds for every test."""

import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

# How long an example takes depends on what else the machine does.
settings.register_profile("holdfast", deadline=None)
settings.load_profile("holdfast")

# A shell starts what it puts into the background deaf to Ctrl-C, and children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_logged_errors() -> Iterator[None]:
    """Fail a test during which Twisted's log was told of an error that nobody expected."""
    yield
    harness = sys.modules.get("tests.harness.reactor")
    if harness is not None:
        errors = harness.flush_logged_errors()
        if errors:
            raise errors[0]


def pytest_sessionfinish() -> None:
    """Stop the reactor, if a test started it, before the interpreter ends."""
    harness = sys.modules.get("tests.harness.reactor")
    if harness is not None:
        harness.stop()
