"""One timer for all heartbeats."""

from attrs import define, field
from twisted.internet.task import Clock

from holdfast.rendezvous.heartbeat import AGAIN, CALLED_AT_ONCE, OVERSLEPT, Heartbeat
from tests.harness.reactor import flush_logged_errors


@define(eq=False, slots=False)
class Sleeper:
    """Wants to be called every *period* seconds, *times* times."""

    period: float
    times: int
    calls: list[tuple[float, bool]] = field(factory=list)

    def beat(self, now: float, overslept: bool) -> float | None:
        self.calls.append((now, overslept))
        return now + self.period if len(self.calls) < self.times else None


def test_everybody_is_called_in_time() -> None:
    """Patients with different periods are each called when they asked for it."""
    clock = Clock()
    heart = Heartbeat(clock)
    slow, quick = Sleeper(5, 2), Sleeper(2, 4)
    heart.add(5, slow)
    heart.add(2, quick)
    for _ in range(12):
        clock.advance(1)
    assert slow.calls == [(5, False), (10, False)]
    assert quick.calls == [(2, False), (4, False), (6, False), (8, False)]


def test_one_timer_and_none_without_patients() -> None:
    """However many patients there are, one timer runs; when all are gone, none does."""
    clock = Clock()
    heart = Heartbeat(clock)
    for number in range(50):
        heart.add(10 - number / 10, Sleeper(1, 1))
        assert len(clock.getDelayedCalls()) == 1
    clock.advance(10)
    assert clock.getDelayedCalls() == []


def test_who_leaves_is_not_called() -> None:
    """A patient that was removed is called no more, and after the last one no timer is left."""
    clock = Clock()
    heart = Heartbeat(clock)
    gone, there = Sleeper(1, 9), Sleeper(1, 9)
    heart.add(1, gone)
    heart.add(1, there)
    heart.remove(gone)
    clock.advance(1)
    assert (gone.calls, there.calls) == ([], [(1, False)])
    heart.remove(there)
    assert clock.getDelayedCalls() == []
    heart.add(3, gone)
    clock.advance(2)
    assert gone.calls == [(3, False)]


def test_oversleeping() -> None:
    """Patients learn that they are called much too late."""
    clock = Clock()
    heart = Heartbeat(clock)
    sleeper = Sleeper(10, 3)
    heart.add(10, sleeper)
    clock.advance(10 + OVERSLEPT)
    clock.advance(10 + OVERSLEPT + 1)
    assert [overslept for _, overslept in sleeper.calls] == [False, True]


def test_others_get_their_turn() -> None:
    """Of very many patients that are due, some are called in the next turn of the reactor."""
    clock = Clock()
    heart = Heartbeat(clock)
    patients = [Sleeper(10, 1) for _ in range(CALLED_AT_ONCE + 1)]
    seen: list[int] = []
    for patient in patients:
        heart.add(10, patient)
    # Asks to be called at once from within the turn, as anybody else might.
    first = patients[0]
    first.beat = lambda *_, **__: clock.callLater(0, look) and None  # type: ignore[method-assign]

    def look() -> None:
        seen.append(sum(len(patient.calls) for patient in patients))

    clock.advance(10)
    assert seen == [CALLED_AT_ONCE - 1]
    assert sum(len(patient.calls) for patient in patients) == CALLED_AT_ONCE


def test_added_while_called() -> None:
    """A patient that is added from inside another's call is called in its time."""
    clock = Clock()
    heart = Heartbeat(clock)
    late = Sleeper(1, 1)

    class Adder:
        def beat(self, now: float, overslept: bool) -> float | None:
            heart.add(now + 1, late)
            return now + 100

    heart.add(1, Adder())
    clock.advance(1)
    clock.advance(1)
    assert late.calls == [(2, False)]


def test_one_that_fails_keeps_nobody_from_theirs() -> None:
    """It is told of and tried again later; all others are called when they asked for it."""

    class Broken(Sleeper):
        def beat(self, now: float, overslept: bool) -> float | None:
            super().beat(now, overslept=overslept)
            raise ZeroDivisionError

    clock = Clock()
    heart = Heartbeat(clock)
    broken, well = Broken(1, 9), Sleeper(1, 5)
    heart.add(1, broken)
    heart.add(1, well)
    for _ in range(int(AGAIN) + 1):
        clock.advance(1)
    assert [at for at, _ in well.calls] == [1, 2, 3, 4, 5]
    assert [at for at, _ in broken.calls] == [1, 1 + AGAIN]
    assert len(flush_logged_errors(ZeroDivisionError)) == 2
