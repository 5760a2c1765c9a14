"""The sweeps of a mailbox server go on, whatever they meet, and say what that was."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from weakref import ref

import pytest
from attrs import define
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from holdfast.server import service
from holdfast.server.sweeping import AT_ONCE, Sweeper, period
from tests.harness.reactor import flush_logged_errors
from tests.server.in_memory import APP, Client, Server, connection

KEEP = 3600.0


@define(eq=False)
class Running:
    """A server that was started on a file."""

    path: Path
    reactor: Any
    said: list[str]
    factory: Any
    stop: Callable[[], object]

    def connect(self) -> Client:
        return connection(self.factory)

    def write(self, *statements: str) -> None:
        """Somebody else changes the file."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            for statement in statements:
                other.execute(statement)

    def mailboxes(self) -> list[str]:
        with closing(sqlite3.connect(self.path)) as other:
            return [str(name) for (name,) in other.execute("SELECT id FROM mailboxes ORDER BY id")]

    def sweep(self) -> None:
        self.reactor.advance(period(KEEP))
        self.reactor.advance(0)


def begun(path: Path, **options: Any) -> Iterator[Running]:
    said: list[str] = []

    def observe(event: LogEvent) -> None:
        if event["log_namespace"].startswith("holdfast"):
            failure = event.get("log_failure")
            why = "" if failure is None else f": {failure.type.__name__}"
            said.append((formatEvent(event) or "") + why)

    reactor = MemoryReactorClock()
    server = service(reactor, listen="127.0.0.1:4000", database=path, keep=KEEP, **options)
    globalLogPublisher.addObserver(observe)
    server.startService()
    [(_, factory, *_)] = reactor.tcpServers
    yield Running(path, reactor, said, factory, server.stopService)
    if server.running:
        server.stopService()
    globalLogPublisher.removeObserver(observe)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    yield from begun(tmp_path / "m.sqlite")


def mailbox(name: str, app: str = f"'{APP}'", updated: str = "0") -> str:
    return f"INSERT INTO mailboxes (app_id, id, updated) VALUES ({app}, '{name}', {updated})"


@pytest.mark.parametrize(
    "odd",
    [
        mailbox("odd", updated="'yesterday'"),
        mailbox("odd", updated="NULL"),
        mailbox("odd", updated="x'00'"),
        mailbox("odd", app="NULL"),
        mailbox("odd", app="x'00'"),
        "INSERT INTO messages (app_id, mailbox_id, phase) VALUES (NULL, 'odd', '0')",
        "INSERT INTO nameplates (app_id, name) VALUES (x'00', '4')",
    ],
)
def test_a_row_that_no_server_wrote(running: Running, odd: str) -> None:
    """It keeps nothing from being forgotten, neither now nor later, and is told of once."""
    running.write(odd, mailbox("a"))
    running.sweep()
    assert running.mailboxes() == []
    assert running.said == ["put 1 rows right that no mailbox server wrote"]
    running.write(mailbox("b"))
    running.sweep()
    assert running.mailboxes() == []
    assert len(running.said) == 1


def test_whatever_a_sweep_stumbles_over(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of any kind is told; nothing of that sweep is done, and the next one is."""

    def stumble(*_: object) -> None:
        raise KeyError("a secret")

    running.write(mailbox("a"))
    with monkeypatch.context() as patch:
        patch.setattr(Sweeper, "_forget", stumble)
        running.sweep()
    assert running.mailboxes() == ["a"]
    assert any(said == "The sweep of old mailboxes failed: KeyError" for said in running.said)
    assert not any("secret" in said for said in running.said)
    running.sweep()
    assert running.mailboxes() == []
    flush_logged_errors(KeyError)


def test_a_client_that_cannot_be_answered(running: Running) -> None:
    """It is cut off, and told of; those behind it get their answers."""
    ann, bob = running.connect(), running.connect()
    for client in (ann, bob):
        client.say("bind", appid=APP, side=str(id(client)))
        client.say("open", mailbox="m")
    running.reactor.advance(0)
    bob.heard()

    def fail(*_: object, **__: object) -> None:
        raise AttributeError

    ann.transport.protocol.sendMessage.__self__.tell = fail
    ann.say("add", phase="pake", body="5a")
    running.reactor.advance(0)
    assert bob.kinds == ["message"]
    assert ann.is_cut
    assert "A client could not be answered: AttributeError" in running.said
    flush_logged_errors(AttributeError)


def test_more_clients_than_files(tmp_path: Path) -> None:
    """Who is too much is told so by HTTP, the others go on; the operator is told once."""
    for running in begun(tmp_path / "m.sqlite", most=2):
        clients = [running.connect() for _ in range(2)]
        late = [running.connect() for _ in range(2)]
        assert [client.kinds for client in clients] == [["welcome"]] * 2
        for client in late:
            assert b" 503 " in client.transport.value()
        assert len([said for said in running.said if "ulimit -n" in said]) == 1
        for client in (*late, clients[0]):
            client.leave()
        assert running.connect().kinds == ["welcome"]


def test_a_few_are_forgotten_in_each_turn(running: Running) -> None:
    """Whoever says something meanwhile need not wait, and what is said in time is kept."""
    running.write(
        "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 1500)"
        f" INSERT INTO mailboxes (app_id, id, updated) SELECT '{APP}', printf('%04d', i), i FROM n"
    )
    ann = running.connect()
    ann.say("bind", appid=APP, side="ann")
    left = []

    def between() -> None:
        left.append(len(running.mailboxes()))
        if len(left) == 1:
            ann.say("open", mailbox="1500")
        if len(left) < 5:
            running.reactor.callLater(0, between)

    running.reactor.callLater(period(KEEP), between)
    running.sweep()
    assert 1500 - AT_ONCE in left and left == sorted(left, reverse=True)
    assert running.mailboxes() == ["1500"]


def test_a_stop_does_not_wait_for_a_sweep(tmp_path: Path) -> None:
    """What is still old is forgotten after the next start."""
    path = tmp_path / "m.sqlite"
    for running in begun(path):
        running.write(*(mailbox(f"{n}") for n in range(2 * AT_ONCE)))
        running.reactor.callLater(period(KEEP), running.stop)
        running.reactor.advance(period(KEEP))
        assert running.said == []
        assert 0 < len(running.mailboxes()) < 2 * AT_ONCE
    for running in begun(path):
        running.sweep()
        assert running.mailboxes() == []


def test_where_somebody_listens_nothing_is_forgotten(running: Running) -> None:
    """However long ago something was said there, and whatever else is old."""
    ann, bob = running.connect(), running.connect()
    for client, name in ((ann, "a"), (bob, "b")):
        client.say("bind", appid=APP, side=name)
        client.say("open", mailbox=name)
        client.say("add", phase="pake", body="5a")
    running.reactor.advance(0)
    bob.leave()
    running.write("UPDATE mailboxes SET updated = 0")
    running.sweep()
    assert running.mailboxes() == ["a"]


def test_whoever_is_bound_before_a_sweep_hears_whoever_is_bound_after(running: Running) -> None:
    """The package gives an application up once nobody has a mailbox of it open."""
    ann, bob = running.connect(), running.connect()
    running.write(mailbox("old"))
    ann.say("bind", appid=APP, side="ann")
    running.sweep()
    bob.say("bind", appid=APP, side="bob")
    for client in (ann, bob):
        client.say("open", mailbox="m")
    ann.say("add", phase="pake", body="5a")
    running.reactor.advance(0)
    assert bob.kinds == ["welcome", "message"]


def test_no_object_is_kept_for_a_mailbox_to_which_nobody_listens(tmp_path: Path) -> None:
    """They would be 27 MB for 100,000 codes that wait."""
    server = Server.on(tmp_path / "m.sqlite")
    app = server.rendezvous.get_app(APP)
    ann = server.connect("ann")
    ann.say("open", mailbox="a")
    kept = [ref(app.open_mailbox(name, "bob", 0.0)) for name in "abc"]
    assert all(each() for each in kept)
    server.rendezvous.listened_to()
    assert [each() is not None for each in kept] == [True, False, False]
    server.stop()
