"""A signal stops a command, and another one changes nothing."""

import signal
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.error import ReactorNotRunning

from holdfast.operating.stopping import Stopping


class Reactor:
    """One that is stopping takes long for it, and may not be stopped again."""

    def __init__(self) -> None:
        self.stops = 0

    def callFromThread(self, call: Callable[[], object]) -> None:  # noqa: N802 - Twisted's
        call()

    def stop(self) -> None:
        if self.stops:
            raise ReactorNotRunning
        self.stops += 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_only_the_first_signal_stops(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many signals come while the reactor is stopping, it is stopped once."""
    handlers: dict[int, Any] = {}
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    reactor = Reactor()
    stopping = Stopping(reactor)
    stopping.heed_signals()
    for _ in range(3):
        handlers[number](number, None)
    stopping.stop()
    assert reactor.stops == 1
