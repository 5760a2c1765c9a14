"""What a provision makes of a real server that has forgotten it, and of strangers there."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.cli.journals import run
from tests.harness.peers import StockReceivers
from tests.harness.process import Child, Holdfast
from tests.harness.server import MailboxServer
from tests.harness.waiting import until

APPID = "lothar.com/wormhole/text-or-file-xfer"


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailboxServer]:
    """A server of our own, since it is to forget."""
    with MailboxServer(tmp_path_factory.mktemp("forgetful")) as server:
        yield server


@pytest.fixture(scope="module")
def stock(mailbox: MailboxServer) -> Iterator[StockReceivers]:
    with StockReceivers(mailbox.url) as peers:
        yield peers


def forget(mailbox: MailboxServer) -> None:
    """Kill the server, lose its database, and start it again."""
    mailbox.kill9()
    for path in mailbox.database.parent.glob("mailbox.sqlite*"):
        path.unlink()
    mailbox.start()


def person(home: Holdfast, tmp_path: Path) -> tuple[str, ...]:
    source = tmp_path / "people.csv"
    source.write_text("name,secret\nann,s3cr3t\n")
    return ("provision", str(source))


def ann(home: Holdfast) -> dict[str, Any]:
    [row] = json.loads(run(Path(str(home.db)), "status", "--json").stdout)
    assert isinstance(row, dict)
    return row


def code(home: Holdfast, child: Child) -> str:
    found = child.wait_for(r"^ann\t(\S+)$").group(1)
    until(lambda: ann(home)["status"] == "waiting", "the flow waits")
    # A server that forgets before that leaves an empty mailbox behind (docs/guarantees.md).
    log = Path(str(home.db)), "log", "ann", "--wire"
    until(lambda: "has stored our" in run(*log).stdout, "it knows that its message is there")
    return str(found)


class Stranger:
    """Somebody at the server who says what a test wants."""

    def __init__(self, socket: ClientConnection, side: str) -> None:
        self._socket = socket
        self._send(type="bind", appid=APPID, side=side)

    def claim(self, nameplate: str) -> str:
        """Return the type of the answer."""
        return str(self.ask("claim", "claimed", nameplate=nameplate)["type"])

    def allocate(self) -> str:
        return str(self.ask("allocate", "allocated")["nameplate"])

    def release(self, nameplate: str) -> None:
        self.ask("release", "released", nameplate=nameplate)

    def listed(self) -> list[str]:
        return [each["id"] for each in self.ask("list", "nameplates")["nameplates"]]

    def ask(self, kind: str, answered: str, **fields: object) -> dict[str, Any]:
        """Say something; return the answer, or the error."""
        self._send(type=kind, **fields)
        while True:
            answer: dict[str, Any] = json.loads(self._socket.recv(timeout=20))
            if answer["type"] in (answered, "error"):
                return answer

    def _send(self, **fields: object) -> None:
        self._socket.send(json.dumps({"id": "1", **fields}))


@contextmanager
def stranger(mailbox: MailboxServer, side: str) -> Iterator[Stranger]:
    with connect(mailbox.url) as socket:
        yield Stranger(socket, side)


@pytest.mark.parametrize("killed", [False, True])
def test_the_code_works_again(
    home: Holdfast, mailbox: MailboxServer, stock: StockReceivers, tmp_path: Path, killed: bool
) -> None:
    """The server lost everything: the code that was handed out works all the same."""
    command = person(home, tmp_path)
    with ExitStack() as running:
        child = running.enter_context(home.start(*command))
        given = code(home, child)
        if killed:
            child.kill9()
        forget(mailbox)
        if killed:
            child = running.enter_context(home.start(*command))
        number = given.partition("-")[0]

        def claimed_again() -> bool:
            return [row["name"] for row in mailbox.tables().nameplates] == [number]

        until(claimed_again, "the nameplate is claimed again")
        until(lambda: len(mailbox.tables().messages) == 1, "our message is there again")
        assert stock.wait(stock.receive(given)).text == "s3cr3t"
        assert child.wait().status == 0
    until(lambda: mailbox.tables().empty, lambda: f"nothing left: {mailbox.tables()}")


def test_the_number_is_somebody_elses(
    home: Holdfast, mailbox: MailboxServer, stock: StockReceivers, tmp_path: Path
) -> None:
    """Strangers use the number now: they are left alone, and a new code works."""
    command = person(home, tmp_path)
    with home.start(*command) as child:
        given = code(home, child)
        child.kill9()
    forget(mailbox)
    theirs = f"{given.partition('-')[0]}-their-words"
    sending = stock.send(theirs, "between strangers")
    until(lambda: mailbox.tables().messages, "the stranger waits")
    before = mailbox.tables().messages
    with home.start(*command) as child:
        assert child.wait().status == 1
        assert "code lost" in child.err
    assert ann(home)["status"] == "code lost"
    assert mailbox.tables().messages == before
    assert stock.wait(stock.receive(theirs, "their peer")).text == "between strangers"
    assert stock.wait(sending).ok
    assert home.run("retry", "ann").status == 0
    with home.start(*command) as child:
        new = code(home, child)
        assert stock.wait(stock.receive(new)).text == "s3cr3t"
        assert child.wait().status == 0


def test_whose_a_nameplate_is(mailbox: MailboxServer) -> None:
    """What finding that out is built on: giving it back tells, and disturbs nobody."""
    with stranger(mailbox, "ours") as first:
        mine = first.allocate()
    with stranger(mailbox, "theirs") as other:
        theirs = other.allocate()
    with stranger(mailbox, "ours") as again:
        assert {mine, theirs} <= set(again.listed())
        again.release(mine)
        assert mine not in again.listed(), "it was ours, and nobody else's"
        assert again.claim(mine) == "claimed"
    with stranger(mailbox, "ours") as again:
        again.release(theirs)
        assert theirs in again.listed(), "it is somebody else's"
    with stranger(mailbox, "theirs") as other, stranger(mailbox, "their peer") as peer:
        assert other.claim(theirs) == peer.claim(theirs) == "claimed"
    with stranger(mailbox, "ours") as again:
        again.release(mine)
    for side in ("theirs", "their peer"):
        with stranger(mailbox, side) as leaving:
            leaving.release(theirs)


def test_a_third_party(
    home: Holdfast, mailbox: MailboxServer, stock: StockReceivers, tmp_path: Path
) -> None:
    """A crowded mailbox is no wrong code: it is told apart, and a new code works."""
    command = person(home, tmp_path)
    with home.start(*command) as child:
        given = code(home, child)
        child.kill9()
    number = given.partition("-")[0]
    with stranger(mailbox, "aaaa") as second, stranger(mailbox, "bbbb") as third:
        assert second.claim(number) == "claimed"
        assert third.claim(number) == "error"
        with home.start(*command) as child:
            assert child.wait().status == 1
            assert "third party" in child.err
    assert ann(home)["status"] == "crowded"
    assert home.run("retry", "ann").status == 0
    with home.start(*command) as child:
        assert stock.wait(stock.receive(code(home, child))).text == "s3cr3t"
        assert child.wait().status == 0
