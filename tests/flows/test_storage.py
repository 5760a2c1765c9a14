"""An engine whose database does not answer for a while waits, takes in nothing, and goes on."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import pytest
from attrs import define, field
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.engine import Engine as Database
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from holdfast import Flow, flow
from holdfast.flows.engine import engine as engine_module
from holdfast.flows.engine.engine import STOP_PATIENCE
from holdfast.flows.engine.looking import LONGEST_DELAY
from holdfast.rendezvous.boundaries import ConnectionEnded
from holdfast.rendezvous.dialer import Dialer
from holdfast_journal import DatabaseUnusable, WrongKey
from holdfast_journal.commits.backlog import MOST_COMMITS
from holdfast_journal.commits.writing import BATCH
from tests.flows.world import World
from tests.journal.conftest import Journals, journals
from tests.journal.helpers import PATIENCE, ManualReactor, Runner, at_commit, locked, run
from tests.rendezvous.line import URL as SERVER
from tests.rendezvous.line import Exchange, Line

__all__ = ["journals"]


@flow("test-storage", appid="example.com/storage")
class Simple(Flow):
    def started(self) -> None:
        self.wormhole.allocate_code()

    def wormhole_got_code(self, code: str) -> None:
        self.publish(code=code)


@contextmanager
def away(now: Callable[[], float], *, reads: bool = False) -> Iterator[list[float]]:
    """The database answers nobody inside the block, or only who `reads`.

    Gives the times at which it was asked in vain.
    """
    asked: list[float] = []

    def fail(connection: Connection) -> None:
        if not (reads and connection.get_execution_options()["holdfast_writes"] is False):
            asked.append(now())
            raise locked()

    event.listen(Database, "begin", fail)
    try:
        yield asked
    finally:
        event.remove(Database, "begin", fail)


@pytest.fixture
def log() -> Iterator[list[str]]:
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        if event["log_namespace"].startswith("holdfast"):
            lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def test_the_engine_waits(world: World, log: list[str]) -> None:
    """A database that is away costs one line, and one when it is back; looks become rarer."""
    world.serve()
    with away(world.now) as looks:
        world.advance(60)
        assert world.journal.pressure.high
    assert len(log) == 1
    assert "cannot be used now: database is locked" in log[0]
    gaps = [after - before for before, after in pairwise(looks)]
    assert gaps[0] < LONGEST_DELAY
    assert set(gaps[4:]) == {LONGEST_DELAY}
    world.advance(LONGEST_DELAY)
    assert not world.journal.pressure.high
    assert len(log) == 2
    assert "can be used again" in log[1]
    world.add(Simple())
    assert world.code()


def test_a_database_that_can_only_be_read(world: World, log: list[str]) -> None:
    """With a full disk looking works, and taking does not: that is one trouble, told once."""
    world.serve()
    world.add(Simple())
    with away(world.now, reads=True) as asked:
        world.advance(60)
        assert len(asked) > 10, "it tries again, since nobody else would find out"
        assert world.journal.pressure.high
        assert len(log) == 1
    assert world.code()
    assert len(log) == 2


@pytest.mark.parametrize(
    "error", [WrongKey("another key"), DatabaseUnusable("no such table")], ids=["key", "schema"]
)
def test_what_waiting_does_not_mend(world: World, error: Exception) -> None:
    """A wrong key, or a database that is none of ours, ends the looking at once."""
    engine = engine_module.Engine(
        world.journal,
        world.reactor,
        now=world.now,
        connector=world.connector,
        threads=world.reactor,
    )
    failed: list[object] = []
    started = engine.start().addErrback(lambda failure: failed.append(failure.value))
    assert not failed

    def fail(_connection: object) -> None:
        raise error

    event.listen(Database, "begin", fail)
    try:
        world.advance(2)
    finally:
        event.remove(Database, "begin", fail)
    assert failed == [error]
    assert started.called
    engine.stop()


def test_stopping_meanwhile(world: World, log: list[str]) -> None:
    """Whoever stops does not wait for the database."""
    world.add(Simple())
    world.serve()
    world.code()
    assert world.engine is not None
    with away(world.now):
        world.advance(2)
        stopped = world.engine.stop()
        world.reactor.advance(STOP_PATIENCE)
        assert stopped.called
    world.engine = None
    assert any("not given back" in line for line in log)
    assert world.row().owner is not None


def test_stopping_while_the_disk_fails(world: World, log: list[str]) -> None:
    """Stopping ends well also when the flows cannot be given back because the disk failed."""
    world.add(Simple())
    world.serve()
    world.code()
    assert world.engine is not None

    def fail(_connection: object) -> None:
        raise DatabaseUnusable("the disk failed")

    event.listen(Database, "begin", fail)
    try:
        stopped = world.engine.stop()
    finally:
        event.remove(Database, "begin", fail)
    ends: list[object] = []
    stopped.addBoth(ends.append)
    assert len(ends) == 1
    assert not isinstance(ends[0], Failure)
    world.engine = None
    assert any("not given back: the disk failed" in line for line in log)


def test_connections_wait_for_the_journal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's own connections hand on nothing meanwhile, and everything afterwards."""
    servers = Exchange(world.reactor)
    monkeypatch.setattr(engine_module, "Dialer", lambda reactor: Dialer(reactor, endpoints=servers))
    world.add(Simple())
    world.serve(connector=None)
    line = servers.last.open()
    world.journal.pressure.fails("somebody", "no reason")
    line.say('{"type": "welcome", "welcome": {}}')
    world.add(Simple(), "bob")
    world.advance(60)
    assert line.texts == []
    assert world.row("bob").owner is None, "nobody is taken who could not begin"
    world.journal.pressure.answers("somebody")
    world.advance(1)
    assert '"bind"' in line.texts[0]
    assert world.row("bob").owner is not None


@define(eq=False)
class Listener:
    """Records what comes over one connection, what comes together as one event."""

    runner: Runner
    heard: list[str] = field(factory=list)

    def opened(self) -> None:
        pass

    def received(self, texts: Sequence[str]) -> None:
        self.heard.extend(texts)
        self.runner.event()

    @property
    def waiting(self) -> int:
        """How many events are not durable."""
        return self.runner.events - len(self.runner.released)

    def closed(self, reason: ConnectionEnded) -> None:
        raise AssertionError(reason)


@pytest.mark.parametrize("trouble", ["it fails", "it says nothing"])
def test_a_peer_that_keeps_sending(journals: Journals, trouble: str) -> None:
    """While the database is away a bounded number of commits waits, and nothing is lost."""
    reactor, clock = ManualReactor(), Clock()
    servers = Exchange(clock)
    dialer = Dialer(clock, endpoints=servers)
    journal = journals.open(
        "sqlite://",
        reactor=reactor,
        on_pressure=lambda high: dialer.pause() if high else dialer.resume(),
    )
    listeners = [Listener(runner) for runner in run(journal, "ada", "bob")]
    lines: list[Line] = []
    for listener in listeners:
        dialer.dial(SERVER, listener)
        lines.append(servers.last.open())
    there, tried = threading.Event(), threading.Event()

    def commit(_connection: object) -> None:
        if threading.current_thread().name == "journal":
            tried.set()
            if trouble == "it fails" and not there.is_set():
                raise locked()
            assert there.wait(PATIENCE)

    total = MOST_COMMITS
    with at_commit(commit):
        for number in range(total):
            for line in lines:
                line.say(str(number))
            if number == 10:
                reactor.turn()
                assert tried.wait(PATIENCE)
            if trouble == "it fails" and number == 20:
                reactor.until(lambda: journal.pressure.high)
        waiting = [listener.runner.events for listener in listeners]
        if trouble == "it fails":
            assert sum(waiting) <= 2 * 21
        else:
            assert MOST_COMMITS < sum(waiting) <= MOST_COMMITS + 2
        assert all(listener.runner.released == [] for listener in listeners)
        assert all(not line.reading for line in lines)
        there.set()
        most = 0
        while any(len(each.heard) < total or each.waiting for each in listeners):
            if reactor.later:
                reactor.turn()
            else:
                reactor.wait()
            clock.advance(0)
            most = max(most, sum(each.waiting for each in listeners))
    assert most <= MOST_COMMITS + 2 * BATCH
    for listener in listeners:
        assert listener.heard == [str(number) for number in range(total)]
        assert listener.runner.released == list(range(1, listener.runner.events + 1))
    stopped = journal.stop()
    reactor.until(lambda: stopped.called)
