"""``holdfast cancel``: the code is freed and the secret gone, whoever serves the flow."""

from pathlib import Path

import pytest

from tests.cli.journals import failed, open_at, run
from tests.cli.test_run import add, code
from tests.harness.process import Holdfast
from tests.harness.server import MailboxServer


def database(home: Holdfast) -> Path:
    return Path(str(home.db))


def check_gone(home: Holdfast, name: str, mailbox: MailboxServer, given: str) -> None:
    """Nothing of it is on the server, and nothing of its secret in the database."""
    assert mailbox.tables().nameplates_of([given]) == []
    journal = open_at(database(home))
    try:
        [row] = journal.overview(name=name)
    finally:
        journal.close()
    assert row.status == "cancelled"
    assert row.published is None
    failed(run(database(home), "retry", name), f"'{name}' was cancelled", "unreadable")


def test_whoever_serves_it(home: Holdfast, mailbox: MailboxServer) -> None:
    """A waiting flow is cancelled by the process that runs it, or by the command itself."""
    add(home, "ann", "bob")
    with home.start("run") as child:
        ann, bob = code(home, "ann"), code(home, "bob")
        ended = home.run("cancel", "ann")
        assert (ended.status, ended.out) == (0, "'ann' is cancelled.\n")
        check_gone(home, "ann", mailbox, ann)
        child.wait_for("default/ann cancelled$")
        child.terminate()
        child.wait()
    assert mailbox.tables().nameplates_of([bob]) != []
    ended = home.run("cancel", "bob")
    assert (ended.status, ended.out) == (0, "'bob' is cancelled.\n")
    check_gone(home, "bob", mailbox, bob)
    failed(run(database(home), "cancel", "bob"), "'bob' has ended already (cancelled)")
    failed(run(database(home), "cancel", "eve"), "no flow is called 'eve'")


def test_no_server(home: Holdfast, tmp_path: Path) -> None:
    """What the server does not hear now is said to be open, and done by the next process."""
    with MailboxServer(tmp_path) as server:
        home.relay = server.url
        add(home, "ann")
        with home.start("run") as child:
            code(home, "ann")
            child.terminate()
            child.wait()
        server.kill9()
        with home.start("cancel", "ann") as child:
            child.wait_for("cannot reach", stream="err")
            child.interrupt()
            ended = child.wait()
        assert ended.status == 1
        assert "'ann' will be cancelled, but stopped waiting" in ended.err
        server.start()
        with home.start("run") as child:
            child.wait_for("default/ann cancelled$")
        assert server.tables().empty


@pytest.mark.parametrize("args", [[], ["ann", "bob"]])
def test_words_that_make_no_sense(tmp_path: Path, args: list[str]) -> None:
    """One flow is cancelled at a time."""
    failed(run(tmp_path / "none.db", "cancel", *args), "holdfast cancel --help")
