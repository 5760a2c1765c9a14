"""The common limit of all transfers: by a table, on a clock of the test's."""

from attrs import define, field

from holdfast.transfer.throttle import Throttle


@define
class Clock:
    """Seconds, which pass while somebody waits; and the flag that ends a wait."""

    time: float = 100.0
    stops: bool = False
    waits: list[float] = field(factory=list)

    def now(self) -> float:
        return self.time

    def is_set(self) -> bool:
        return self.stops

    def wait(self, timeout: float) -> bool:
        self.waits.append(timeout)
        if not self.stops:
            self.time += timeout
        return self.stops


def test_each_waits_for_those_before() -> None:
    """The first goes at once, whoever comes next when what went before would be through."""
    clock = Clock()
    throttle = Throttle(1000.0, clock.now)
    for count in (500, 1000, 250):
        throttle.take(count, clock)
    assert clock.waits == [0.5, 1.0]
    clock.time += 60
    throttle.take(500, clock)  # a silence is not saved up
    throttle.take(500, clock)
    assert clock.waits == [0.5, 1.0, 0.5]


def test_who_is_to_stop_does_not_wait() -> None:
    """The wait is that of the flag."""
    clock = Clock(stops=True)
    throttle = Throttle(1.0, clock.now)
    throttle.take(3600, clock)
    throttle.take(1, clock)
    assert (clock.waits, clock.time) == ([3600.0], 100.0)
