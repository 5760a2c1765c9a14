"""``holdfast cancel``: the code is freed and the secret gone, whoever serves the flow."""

from pathlib import Path

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
    """Waiting flows are cancelled by the process that runs them, or by the command itself."""
    add(home, "ann", "bob", "cleo")
    with home.start("run") as child:
        ann, bob, cleo = (code(home, name) for name in ("ann", "bob", "cleo"))
        ended = home.run("cancel", "--name", "a*", "--yes")
        assert (ended.status, ended.out) == (0, "'default/ann' is cancelled.\n")
        check_gone(home, "ann", mailbox, ann)
        child.wait_for("default/ann cancelled$")
        child.terminate()
        child.wait()
    assert mailbox.tables().nameplates_of([bob]) != []
    ended = home.run("cancel", "bob", "cleo", "ann")
    assert ended.status == 1
    lines = ended.out.splitlines()
    assert lines[0] == "'ann' has ended already (cancelled)."
    assert set(lines[1:3]) == {"'bob' is cancelled.", "'cleo' is cancelled."}
    assert lines[3:] == ["2 flows are cancelled."]
    assert ended.err == "holdfast: 1 of 3 flows stayed as they were\n"
    check_gone(home, "bob", mailbox, bob)
    check_gone(home, "cleo", mailbox, cleo)
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
