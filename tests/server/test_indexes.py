"""What a command costs does not grow with the codes that wait."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from wormhole_mailbox_server.database import create_or_upgrade_channel_db
from wormhole_mailbox_server.server import SidedMessage, make_server

from holdfast.server.database import open_database
from holdfast.server.sweeping import Sweeper
from tests.server.in_memory import APP, Server


@pytest.fixture
def statements(tmp_path: Path) -> Iterator[tuple[Server, list[str]]]:
    """All that the server asks its database during an exchange."""
    server = Server.on(tmp_path / "m.sqlite")
    statements: list[str] = []
    server.database.connection.set_trace_callback(statements.append)
    ann, bob = server.connect("ann"), server.connect("bob")
    ann.say("allocate")
    server.next_turn()
    [allocated] = ann.heard()
    for client in (ann, bob):
        client.say("claim", nameplate=allocated["nameplate"])
        server.next_turn()
        mailbox = client.heard()[-1]["mailbox"]
        client.say("open", mailbox=mailbox)
        client.say("add", phase="pake", body="5a")
    ann.say("holdfast-watcher", watcher="w" * 32)
    ann.say("holdfast-watch", request=1, mailboxes=[[mailbox, "ann", 0]])
    server.next_turn()
    ann.say("holdfast-acknowledge", arrivals=[1])
    ann.say("holdfast-unwatch", request=1, mailboxes=[[mailbox, "ann"]])
    server.next_turn()
    assert ann.kinds[-3:] == ["holdfast-watched", "holdfast-arrived", "holdfast-unwatched"]
    for client in (ann, bob):
        client.say("release")
        client.say("close", mood="happy")
    server.next_turn()
    assert ann.kinds[-1] == bob.kinds[-1] == "closed"
    ann.leave()
    server.rendezvous.get_app(APP).open_mailbox("old", "ann", 0.0)
    Sweeper(server.rendezvous, server.turn, 3600.0, server.watches, server._later.append)()
    server.database.connection.set_trace_callback(None)
    yield server, statements
    server.stop()


def test_neither_an_exchange_nor_a_sweep_reads_a_whole_table(
    statements: tuple[Server, list[str]],
) -> None:
    """SQLite finds an index for every statement of the package's and of ours."""
    server, said = statements
    asked = [one for one in said if one.startswith(("SELECT", "UPDATE", "DELETE"))]
    assert {one.split()[0] for one in asked} == {"SELECT", "UPDATE", "DELETE"}
    scans = {
        (one.partition(" WHERE")[0].split("(")[0], row["detail"])
        for one in asked
        for row in server.database.connection.execute(f"EXPLAIN QUERY PLAN {one}")
        if row["detail"].startswith("SCAN") and "(subquery" not in row["detail"]
    }
    # What is forgotten in this turn; and there are few watchers.
    assert {detail for _, detail in scans} == {"SCAN holdfast_old", "SCAN holdfast_watchers"}


def test_a_stock_server_can_have_the_file_back(tmp_path: Path) -> None:
    """The package opens it, works on it, and leaves it for us to open again."""
    path = tmp_path / "m.sqlite"
    open_database(path, create_or_upgrade_channel_db).close()
    with closing(create_or_upgrade_channel_db(str(path))) as connection:
        app = make_server(connection).get_app("app")
        name = app.allocate_nameplate("ann", 1)
        mailbox = app.open_mailbox(app.claim_nameplate(name, "ann", 1), "ann", 1)
        mailbox.add_message(SidedMessage("ann", "pake", "5a", 1, ""))
        kept = app.open_mailbox("kept", "bob", 1)
        kept.add_message(SidedMessage("bob", "pake", "5a", 1, ""))
        app.release_nameplate(name, "ann", 1)
        mailbox.close("ann", "happy", 1)
    database = open_database(path, create_or_upgrade_channel_db)
    assert [row["mailbox_id"] for row in database.connection.execute("SELECT * FROM messages")] == [
        "kept"
    ]
    assert [tuple(row) for row in database.connection.execute("PRAGMA integrity_check")] == [
        ("ok",)
    ]
    database.close()
