"""Clients of the package's server hear of nothing that is not on the disk."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock

from holdfast.server import service
from holdfast.server.nameplates import free_nameplate
from holdfast.server.turn import Turn
from tests.server.in_memory import APP, Server, connection


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server.on(tmp_path / "m.sqlite")
    yield server
    server.stop()


def count(server: Server, table: str) -> int:
    """What another process finds in the database."""
    with closing(sqlite3.connect(server.path)) as other:
        [(rows,)] = other.execute(f"SELECT count(*) FROM {table}")
    return int(rows)


def test_neither_side_hears_of_a_message_before_the_commit(server: Server) -> None:
    """A whole exchange, step by step: all answers of a step wait, and come in order."""
    ann, bob = server.connect("ann"), server.connect("bob")
    before = ann.transport.value()
    ann.say("allocate")
    assert ann.transport.value() == before
    assert count(server, "nameplates") == 0
    server.next_turn()
    [allocated] = ann.heard()
    assert count(server, "nameplates") == 1
    for client in (ann, bob):
        client.say("claim", nameplate=allocated["nameplate"])
    assert not ann.heard() + bob.heard()
    server.next_turn()
    [claimed], [same] = ann.heard(), bob.heard()
    assert claimed["mailbox"] == same["mailbox"]
    for client in (ann, bob):
        client.say("open", mailbox=claimed["mailbox"])
        client.say("add", phase="pake", body="5a")
        client.say("ping", ping=1)
    assert (ann.heard(), bob.heard(), count(server, "messages")) == ([], [], 0)
    server.next_turn()
    assert ann.kinds == ["message", "pong", "message"]
    assert bob.kinds == ["message", "message", "pong"]
    assert count(server, "messages") == 2
    for client in (ann, bob):
        client.say("release")
        client.say("close", mood="happy")
    assert (ann.heard(), bob.heard(), count(server, "mailboxes")) == ([], [], 1)
    server.next_turn()
    assert ann.kinds == bob.kinds == ["released", "closed"]
    assert count(server, "mailboxes") == count(server, "nameplates") == 0


def test_a_failed_commit_cuts_those_who_waited_for_it(server: Server) -> None:
    """Nothing of it is told or stored; whoever was not concerned goes on."""
    ann, bob, other = (server.connect(side) for side in ("ann", "bob", "other"))
    for client in (ann, bob):
        client.say("open", mailbox="m")
    other.say("open", mailbox="n")
    server.next_turn()
    server.database.connection.execute("PRAGMA foreign_keys=ON")
    ann.say("add", phase="pake", body="5a")
    # Nothing refers to a row that is not there: this commit cannot succeed.
    server.database.connection.execute("PRAGMA defer_foreign_keys=ON")
    server.database.connection.execute("INSERT INTO mailbox_sides VALUES ('none', 1, 's', 0, '')")
    server.next_turn()
    assert ann.is_cut and bob.is_cut and not other.is_cut
    assert not ann.heard() + bob.heard()
    other.say("add", phase="pake", body="5a")
    server.next_turn()
    assert other.kinds == ["message"]
    assert count(server, "messages") == 1
    again = server.connect("ann")
    again.say("open", mailbox="m")
    again.say("ping", ping=1)
    server.next_turn()
    assert again.kinds == ["pong"]


def test_a_clean_stop_gives_the_last_answers(tmp_path: Path) -> None:
    """What had arrived is stored, and told, before the database is closed."""
    reactor = MemoryReactorClock()
    server = service(reactor, listen="127.0.0.1:4000", database=tmp_path / "m.sqlite", keep=3600)
    server.startService()
    [(_, factory, *_)] = reactor.tcpServers
    client = connection(factory)
    assert client.kinds == ["welcome"]
    client.say("bind", appid=APP, side="ann")
    client.say("open", mailbox="m")
    client.say("add", phase="pake", body="5a")
    assert client.kinds == []
    server.stopService()
    assert client.kinds == ["message"]
    reactor.advance(0)
    client.leave()
    with closing(sqlite3.connect(tmp_path / "m.sqlite")) as stored:
        assert stored.execute("SELECT phase FROM messages").fetchall() == [("pake",)]


def test_a_connection_that_has_gone_keeps_nobody_waiting(server: Server) -> None:
    """Its answers are dropped, and the others get theirs."""
    ann, bob = server.connect("ann"), server.connect("bob")
    for client in (ann, bob):
        client.say("open", mailbox="m")
    server.next_turn()
    ann.say("add", phase="pake", body="5a")
    ann.transport.protocol.dropConnection(abort=True)
    server.next_turn()
    assert bob.kinds == ["message"]


@pytest.mark.parametrize(
    ("taken", "digits"),
    [
        ([], 1),
        ([7], 2),
        ([7, 77], 3),
        ([7, 77, *range(100, 108)], 3),
        ([7, 77, *range(100, 109)], 4),
        ([7, 77, *range(100, 109), *range(1000, 1090)], 5),
        (range(1, 1000), 4),
    ],
)
def test_few_nameplates_of_a_size_are_in_use(
    server: Server, taken: Sequence[int], digits: int
) -> None:
    """One of one digit and of two, then one in a hundred, and then the next size."""
    connection = server.database.connection
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO nameplates (app_id, name) VALUES (?, ?)", [(APP, str(n)) for n in taken]
    )
    connection.execute("COMMIT")
    client = server.connect("ann")
    for _ in range(2):
        client.say("allocate")
        server.next_turn()
    [allocated, error] = client.heard()
    assert len(allocated["nameplate"]) == digits
    assert int(allocated["nameplate"]) not in taken
    assert (error["type"], error["orig"]) == ("error", {"type": "allocate"})


def test_a_wrong_number_hits_hardly_anybody(server: Server) -> None:
    """Of 1,000 who wait, whoever types a number of the right length reaches one in fifty at most.

    What counts are the others: a number reaches somebody else's exchange, or nobody's.
    """
    turn = Turn(server.database.connection, lambda _: None)
    names: set[str] = set()
    for _ in range(1000):
        name = free_nameplate(turn, APP)
        assert name is not None
        turn.execute("INSERT INTO nameplates (app_id, name) VALUES (?, ?)", (APP, name))
        names.add(name)
    assert len(names) == 1000
    sizes = Counter(map(len, names))
    for own in names:
        others = sizes[len(own)] - 1
        assert others / (9 * 10 ** (len(own) - 1) - 1) <= 1 / 50
