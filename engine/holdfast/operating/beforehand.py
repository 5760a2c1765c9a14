"""What a command does on the network before it starts anything, such as finding Tor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from holdfast.operating.clock import keep_time_steadily
from holdfast.operating.stopping import Stopping

T = TypeVar("T")


def beforehand(reactor: Any, do: Callable[[], Deferred[T]]) -> T:
    """Run the reactor until the Deferred of `do` fires; return its result, or raise its error.

    The reactor can be run again after that, with the connections that it has. (One that was stopped
    cannot; but `crash` only leaves its loop, as Twisted's own test runner has it do many times.)

    Raises:
        KeyboardInterrupt: a signal ended the process's work; the reactor cannot be run again.
    """
    results: list[T | Failure] = []

    def done(result: T | Failure) -> None:
        results.append(result)
        # Not from inside `run`, which may not have begun yet.
        reactor.callLater(0, reactor.crash)

    def begin() -> None:
        Stopping(reactor).heed_signals()
        do().addBoth(done)

    keep_time_steadily(reactor)
    reactor.callWhenRunning(begin)
    reactor.run()
    if not results:
        raise KeyboardInterrupt
    result = results[0]
    if isinstance(result, Failure):
        result.raiseException()
        raise AssertionError  # the line above always raises
    return result
