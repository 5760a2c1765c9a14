"""The commands on a PostgreSQL database: the same story as on a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.peers import StockReceivers
from tests.harness.process import Holdfast
from tests.harness.server import MailboxServer
from tests.journal.postgres import Server, find_server, server

KEY = "5a" * 32


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    """A private PostgreSQL server."""
    programs = find_server()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed in /usr/lib/postgresql")
    with server(programs) as running:
        yield running


def test_provision_through_a_kill(postgres: Server, tmp_path: Path) -> None:
    """Killed with -9 and started again, everybody gets their secret once, under the same codes."""
    people = tmp_path / "people.csv"
    people.write_text("name,secret\nann,one\nbob,two\n")
    with MailboxServer(tmp_path) as mailbox, StockReceivers(mailbox.url) as stock:
        database = postgres.database()
        home = Holdfast(tmp_path / "home", mailbox.url, database, {"HOLDFAST_KEY": KEY})
        with home.start("provision", people) as child:
            ann = child.wait_for("^ann\t(\\S+)$")[1]
            bob = child.wait_for("^bob\t(\\S+)$")[1]
            assert stock.wait(stock.receive(ann)).text == "one"
            child.kill9()
        waits = stock.receive(bob)
        with home.start("provision", people) as child:
            assert stock.wait(waits).text == "two"
            ended = child.wait()
        assert ended.status == 0, ended
        assert f"bob\t{bob}\n" in ended.out
        shown = home.run("status")
        assert "2 flows: 2 done." in shown.out
        assert "hunter2" not in shown.out + shown.err + ended.out + ended.err
        mailbox.wait_until_empty()


def test_without_a_key(postgres: Server, tmp_path: Path) -> None:
    """One line says which variable to set, and nothing is started."""
    people = tmp_path / "people.csv"
    people.write_text("name,secret\nann,one\n")
    home = Holdfast(tmp_path / "home", "ws://127.0.0.1:1/v1", postgres.database())
    ended = home.run("provision", people)
    assert ended.status == 2
    assert "set HOLDFAST_KEY_FILE" in ended.err
    assert ended.err.count("\n") == 1
