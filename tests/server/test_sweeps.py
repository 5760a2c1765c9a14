"""The sweeps of a mailbox server go on, whatever they meet, and say what that was."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from holdfast.server import service
from holdfast.server.sweeping import period
from tests.harness.reactor import flush_logged_errors
from tests.server.in_memory import APP, Client, connection

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


def test_whatever_the_package_stumbles_over(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception of any kind is told; nothing of that sweep is done, and the next one is."""
    from wormhole_mailbox_server.server import Server

    def stumble(*_: object) -> None:
        raise KeyError("a secret")

    running.write(mailbox("a"))
    with monkeypatch.context() as patch:
        patch.setattr(Server, "prune_all_apps", stumble)
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


def test_while_nothing_is_old_no_mailbox_is_read(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package is asked to forget once there is something to forget."""
    from wormhole_mailbox_server.server import Server

    def stumble(*_: object) -> None:
        raise KeyError

    running.write(mailbox("new", updated=str(time.time())))
    with monkeypatch.context() as patched:
        patched.setattr(Server, "prune_all_apps", stumble)
        running.sweep()
        assert running.said == []
        running.write(mailbox("old"))
        running.sweep()
        assert "The sweep of old mailboxes failed: KeyError" in running.said
        flush_logged_errors(KeyError)
    running.sweep()
    assert running.mailboxes() == ["new"]
