"""What holds for every test."""

import gc
import os
import sys
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

# How long an example takes depends on what else the machine does.
# A quarter of what Hypothesis does by itself, unless it is to be thorough; what needs more says so.
settings.register_profile("holdfast", deadline=None, max_examples=25)
settings.register_profile("thorough", deadline=None, max_examples=100)
settings.load_profile("thorough" if os.environ.get("EVERY_MOMENT") else "holdfast")

# Collecting tests makes objects that stay; looking through them again and again takes a second.
gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin a test anew if the Go client has failed by itself; see `WilliamFailed`."""
    for item in items:
        reasons = [mark.kwargs.get("reason", "") for mark in item.iter_markers("skipif")]
        if any("wormhole-william" in reason for reason in reasons):
            item.add_marker(pytest.mark.flaky(reruns=2, only_rerun=["WilliamFailed"]))


@pytest.fixture(autouse=True)
def _no_logged_errors() -> Iterator[None]:
    """Fail a test during which Twisted's log was told of an error that nobody expected."""
    yield
    harness = sys.modules.get("tests.harness.reactor")
    if harness is not None:
        errors = harness.flush_logged_errors()
        if errors:
            raise errors[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Let no test skip itself once it runs: what it has started until then would stay behind."""
    try:
        return (yield)
    except pytest.skip.Exception as skipped:
        raise AssertionError(
            f"a test skips by a mark or in a fixture, before it starts anything: {skipped}"
        ) from None


def pytest_collection_finish() -> None:
    """Make databases quickly; and let the garbage collector look less often, and not at imports."""
    if "holdfast_journal.store.upgrading" in sys.modules:
        from tests.harness import compiled, migrated

        compiled.install()
        migrated.install()
    gc.freeze()
    gc.enable()
    # With Python's own thresholds it takes a twentieth of the suite's time.
    gc.set_threshold(10_000, 20, 20)


def pytest_sessionfinish() -> None:
    """End what tests share, if they started it: the fork servers, and the reactor."""
    forks = sys.modules.get("tests.harness.forks")
    if forks is not None:
        forks.close_all()
    harness = sys.modules.get("tests.harness.reactor")
    if harness is not None:
        harness.stop()
