"""What is looked up for a scrape: not too often, and not waited for without end."""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from holdfast.telemetry.lateness import EVERY, Lateness
from holdfast.telemetry.looked_up import FRESH, PATIENCE, SHARE, STALE, LookedUp


class Reactor(Clock):
    """One whose calls from threads are made at once."""

    def callFromThread(self, call: Callable[..., object], *args: Any) -> None:  # noqa: N802
        call(*args)


@define(eq=False)
class Database:
    """Answers when the test says so; it is the threads, too."""

    reactor: Reactor = field(factory=Reactor)
    looks: list[Callable[[bool, Any], object]] = field(factory=list)
    looked_up: LookedUp[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.looked_up = LookedUp(self.reactor, lambda: "never called", self)

    def callInThreadWithCallback(  # noqa: N802
        self, done: Callable[[bool, Any], object], function: Callable[..., Any]
    ) -> None:
        self.looks.append(done)

    def answer(self, value: str) -> None:
        self.looks.pop()(True, value)

    def fail(self, error: Exception) -> None:
        self.looks.pop()(False, Failure(error))

    def ask(self) -> list[None]:
        """Return a list that is filled when the asker need not wait any more."""
        told: list[None] = []
        self.looked_up.look().addCallback(told.append)
        return told


def test_all_wait_for_one_look() -> None:
    """However many ask, the database is asked once."""
    database = Database()
    askers = [database.ask() for _ in range(3)]
    assert len(database.looks) == 1
    assert askers == [[], [], []]
    database.answer("found")
    assert askers == [[None], [None], [None]]
    assert database.looked_up.last == "found"
    assert not database.reactor.getDelayedCalls()


@pytest.mark.parametrize(
    ("took", "will_do"), [(0.01, FRESH), (0.25, SHARE * 0.25), (1.0, STALE), (1.9, STALE)]
)
def test_what_is_fresh_will_do(took: float, will_do: float) -> None:
    """For some seconds nothing is looked up again, and longer, but not for ever, if it is slow."""
    database = Database()
    database.ask()
    database.reactor.advance(took)
    database.answer("found")
    assert database.looked_up.age == took
    database.reactor.advance(will_do - 0.5)
    assert database.ask() == [None]
    assert not database.looks
    database.reactor.advance(0.5)
    database.ask()
    assert len(database.looks) == 1


def test_nobody_waits_for_long() -> None:
    """An old answer is better than none, and its age is known; the look goes on."""
    database = Database()
    database.ask()
    database.answer("old")
    database.reactor.advance(FRESH)
    told = database.ask()
    database.reactor.advance(PATIENCE)
    assert told == [None]
    assert (database.looked_up.last, database.looked_up.age) == ("old", FRESH + PATIENCE)
    database.ask()
    assert len(database.looks) == 1
    database.answer("new")
    assert (database.looked_up.last, database.looked_up.age) == ("new", PATIENCE)


def test_a_database_that_does_not_answer() -> None:
    """What was found last is kept, and it is asked again after a while."""
    database = Database()
    database.ask()
    database.answer("old")
    database.reactor.advance(FRESH)
    told = database.ask()
    database.fail(OSError())
    assert told == [None]
    assert (database.looked_up.last, database.looked_up.age) == ("old", FRESH)
    assert database.ask() == [None]
    database.reactor.advance(FRESH)
    assert database.ask() == []


def test_lateness() -> None:
    """It is how much later than asked the reactor calls; when it has stopped nothing is called."""
    reactor, told = Clock(), list[float]()
    lateness = Lateness(reactor, told.append)
    lateness.start()
    reactor.advance(EVERY)
    reactor.advance(EVERY + 2.0)
    assert told == [0.0, 2.0]
    lateness.stop()
    assert not reactor.getDelayedCalls()
