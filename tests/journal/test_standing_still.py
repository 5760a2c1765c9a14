"""A worker whose reactor or writer stands still loses its lease, although a thread renews it."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import Engine
from twisted.logger import globalLogPublisher

from holdfast_journal import Fenced
from holdfast_journal.workers.liveness import Moving, place_in
from tests.harness.waiting import until
from tests.journal.conftest import Journals
from tests.journal.helpers import PATIENCE, ManualReactor, run
from tests.journal.test_leases import kinds, names

LEASE = 0.6


class Clock:
    """Seconds, turned by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Asked:
    """A reactor that is asked for signs of life, and gives them when told."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __call__(self, call: Any) -> None:
        self.calls.append(call)

    def turn(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()


@pytest.fixture
def told() -> Iterator[list[str]]:
    lines: list[str] = []

    def observe(event: Any) -> None:
        if event["log_namespace"] == "holdfast_journal.workers.renewing":
            lines.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


class TestMoving:
    """Time goes by in steps of a second; the patience is five."""

    def look(self, moving: Moving, clock: Clock, seconds: int) -> Any:
        found = None
        for _ in range(seconds):
            clock.now += 1
            found = moving.look(5.0)
        return found

    def test_a_reactor_that_does_not_run_yet(self) -> None:
        """Whoever has not begun does not stand still."""
        clock, reactor = Clock(), Asked()
        runs: list[bool] = []
        moving = Moving(reactor, lambda: bool(runs), clock)
        assert self.look(moving, clock, 60) is None
        assert len(reactor.calls) == 1
        runs.append(True)
        assert self.look(moving, clock, 5) is None
        assert self.look(moving, clock, 1) is not None

    def test_a_reactor_that_turns(self) -> None:
        """It is asked again and again."""
        clock, reactor = Clock(), Asked()
        moving = Moving(reactor, lambda: True, clock)
        for _ in range(20):
            assert self.look(moving, clock, 3) is None
            reactor.turn()

    def test_a_reactor_that_stops_turning(self) -> None:
        """It is noticed, with the place where it stands, and so is its coming back."""
        clock, reactor = Clock(), Asked()
        moving = Moving(reactor, lambda: True, clock)
        moving.look(5.0)
        reactor.turn()
        assert self.look(moving, clock, 6) is None
        who, seconds, place = self.look(moving, clock, 1)
        assert (who, seconds) == ("the reactor", 6)
        assert "look, line" in place
        assert "test_standing_still.py" in place
        reactor.turn()
        assert self.look(moving, clock, 1) is None

    def test_a_process_that_was_paused(self) -> None:
        """Nobody is blamed for the time in which nothing of the process ran."""
        clock, reactor = Clock(), Asked()
        moving = Moving(reactor, lambda: True, clock)
        moving.look(5.0)
        reactor.turn()
        moving.writes()
        self.look(moving, clock, 2)
        moving.rests()
        clock.now += 1000
        assert self.look(moving, clock, 1) is None
        assert self.look(moving, clock, 6) is not None

    def test_a_database_that_takes_its_time(self) -> None:
        """Renewing may take long: that is no pause, in which a reactor could give no sign."""
        clock, reactor = Clock(), Asked()
        moving = Moving(reactor, lambda: True, clock)
        moving.look(5.0)
        moving.rests()
        assert self.look(moving, clock, 4) is None
        clock.now += 20  # the renewal
        moving.rests()
        still = self.look(moving, clock, 5)
        assert still is not None
        assert still[0] == "the reactor"

    def test_a_writer_that_does_not_finish(self) -> None:
        """It stands still while it neither finishes nor tries again."""
        clock, reactor = Clock(), Asked()
        moving = Moving(reactor, lambda: True, clock)
        for _ in range(3):
            moving.writes()
            reactor.turn()
            assert self.look(moving, clock, 5) is None
        reactor.turn()
        assert self.look(moving, clock, 1)[0] == "the journal's writer"
        assert moving.writing_for() == 6
        moving.has_written()
        assert self.look(moving, clock, 1) is None
        assert moving.writing_for() == 0

    def test_a_place_holds_no_values(self) -> None:
        """Where a thread is: functions, lines and files, and nothing of what they work on."""
        secret = "s3cr3t"  # noqa: F841
        here = place_in(threading.get_ident())
        assert here.startswith("place_in, line ")
        assert "test_a_place_holds_no_values, line " in here
        assert "s3cr3t" not in here
        assert place_in(-1) == "its thread has ended"


def test_a_reactor_that_stands_still(url: str, journals: Journals, told: list[str]) -> None:
    """Others take its flows; when it turns again it lets go of them, and sends nothing."""
    reactor = ManualReactor()
    still, other = journals.open(url, reactor=reactor, lease=LEASE), journals.open(url)
    (ada,) = run(still, "ada")
    reactor.wait()  # its first sign of life
    taken: list[str] = []
    while not taken:
        taken = names(other)
    assert taken == ["ada"]
    ada.event()
    reactor.until(lambda: ada.lost)
    assert (ada.released, kinds(ada.lost)) == ([], [Fenced])
    assert told[0].startswith("the reactor has stood still for ")
    assert ", line " in told[0]
    while len(told) < 2:
        reactor.wait()
    assert told[1] == "the reactor moves again"


def test_a_reactor_that_turns_keeps_its_flows(url: str, journals: Journals) -> None:
    """For as long as it turns the lease is renewed, though nothing else happens."""
    reactor = ManualReactor()
    busy, other = journals.open(url, reactor=reactor, lease=2 * LEASE), journals.open(url)
    (ada,) = run(busy, "ada")
    for _ in range(15):  # more than two leases
        reactor.wait()
        assert names(other) == []
    assert ada.lost == []


def test_a_writer_that_stands_still(postgres: Any, upgraded: str, journals: Journals) -> None:
    """A statement of an application's that never ends costs the worker its flows."""
    url = postgres.database(upgraded)
    reactor = ManualReactor()
    still, other = journals.open(url, reactor=reactor, lease=LEASE), journals.open(url)
    ada, _ = run(still, "ada", "bob")
    hangs = threading.Event()
    pool: Any = still._database.engine.pool

    def hang(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "SELECT 4711" in statement:
            hangs.wait(PATIENCE)

    event.listen(Engine, "before_cursor_execute", hang)
    try:
        with ada.taken.journal.process():
            ada.taken.journal.execute(text("SELECT 4711"))
        taken: list[str] = []
        while "bob" not in taken:
            while reactor.later:
                reactor.turn()
            while not reactor.threads.empty():
                reactor.wait()
            taken += names(other)
    finally:
        hangs.set()
        # A connection that is in use when its database is closed would stay open.
        until(lambda: not pool.checkedout(), "the end of the transaction")
        event.remove(Engine, "before_cursor_execute", hang)
