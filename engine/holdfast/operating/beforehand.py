"""What a command does on the network before it starts anything, such as finding Tor."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from holdfast.operating.clock import keep_time_steadily
from holdfast.operating.printable import printable
from holdfast.operating.refused import Refused
from holdfast.operating.stopping import Stopping

if TYPE_CHECKING:
    from holdfast.rendezvous.tor import TorManager

T = TypeVar("T")

_OBJECT: Final = re.compile(r"<[\w.]+ object at 0x[0-9a-f]+>: ")
"""What means nothing to people in the errors that find no Tor."""


def find_tor(reactor: Any, control_port: str | None) -> TorManager:
    """Return the Tor that runs here; `get_tor` describes the control port.

    Raises:
        Refused: it cannot be used.
        KeyboardInterrupt: as `beforehand`.
    """
    from holdfast.rendezvous.tor import TorUnavailable, get_tor

    def find() -> Deferred[TorManager]:
        return Deferred.fromCoroutine(get_tor(reactor, tor_control_port=control_port))

    try:
        return beforehand(reactor, find)
    except TorUnavailable as error:
        said = _OBJECT.sub("", str(error)).rstrip(".")
        raise Refused(
            f"{printable(said, 300)}; --tor-control-port says where it takes commands"
        ) from None


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
