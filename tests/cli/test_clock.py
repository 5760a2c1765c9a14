"""The clock that the timers of a process go by."""

from twisted.internet.base import ReactorBase

from holdfast.operating.clock import keep_time_steadily


class Reactor(ReactorBase):
    """Twisted's timers, and a machine's clock that is turned by hand."""

    now = 1_700_000_000.0

    def seconds(self) -> float:
        return self.now

    def installWaker(self) -> None:  # noqa: N802
        pass


def test_the_machines_clock_is_set_back() -> None:
    """What is due happens all the same."""
    reactor, happened = Reactor(), []
    keep_time_steadily(reactor)
    reactor.callLater(0, happened.append, "it")
    reactor.now -= 86400
    reactor.runUntilCurrent()
    assert happened == ["it"]
