"""A signal stops a command, and another one changes nothing."""

import os
import signal

import pytest
from twisted.internet.defer import Deferred

from holdfast.cli.stopping import Stopping
from tests.harness import reactor


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_only_the_first_signal_stops(number: signal.Signals) -> None:
    """However many come while the reactor is stopping, which asks for being stopped once only."""
    stops: list[Deferred[None]] = []

    async def running() -> None:
        from twisted.internet import reactor as real

        class Stopped:
            callFromThread = staticmethod(real.callFromThread)  # noqa: N815 - Twisted's name

            def stop(self) -> None:
                assert not stops, "ReactorNotRunning"
                stops.append(Deferred())

        before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            Stopping(Stopped()).heed_signals()
            for _ in range(3):
                os.kill(os.getpid(), number)
            await reactor.until(lambda: stops, "the stop")
            turn: Deferred[None] = Deferred()
            real.callFromThread(turn.callback, None)
            await turn
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    reactor.run(running)
    assert len(stops) == 1
