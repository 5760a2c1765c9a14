"""The public API over a real network, with the stock client at the other end."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from websockets.sync.client import connect

import holdfast
from tests.harness import reactor
from tests.harness.process import Child
from tests.harness.scripted import StockPeer
from tests.harness.server import MailboxServer

APPID = "example.com/online"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with MailboxServer(tmp_path_factory.mktemp("server")) as server:
        yield server


@define
class Delegate:
    told: dict[str, Any] = field(factory=dict)
    messages: list[bytes] = field(factory=list)

    def wormhole_got_code(self, code: str) -> None:
        self.told["code"] = code

    def wormhole_got_verifier(self, verifier: bytes) -> None:
        self.told["verifier"] = verifier

    def wormhole_got_versions(self, versions: dict[str, Any]) -> None:
        self.told["versions"] = versions

    def wormhole_got_message(self, message: bytes) -> None:
        self.messages.append(message)

    def wormhole_closed(self, result: object) -> None:
        self.told["closed"] = result

    async def tells(self, what: str) -> Any:
        return await reactor.until(lambda: self.told.get(what), what)


def ours(server: MailboxServer, delegate: object, **options: Any) -> Any:
    from twisted.internet import reactor as real

    return holdfast.create(APPID, server.url, real, delegate=delegate, **options)


def test_both_directions(server: MailboxServer) -> None:
    """Text, nothing and a megabyte arrive both ways; verifier, versions and keys agree."""
    messages = ["grüß dich".encode(), b"", bytes(range(256)) * 4096, b"last"]

    async def exchange() -> None:
        delegate = Delegate()
        ours_ = ours(server, delegate, versions={"ours": [1]})
        stock = StockPeer(server.url, appid=APPID, versions={"theirs": {"x": None}})
        ours_.allocate_code()
        stock.wormhole.set_code(await delegate.tells("code"))
        for message in messages:
            ours_.send_message(message)
            stock.wormhole.send_message(message)
        assert [await stock.wormhole.get_message() for _ in messages] == messages
        await reactor.until(lambda: len(delegate.messages) == len(messages), "all messages")
        assert delegate.messages == messages
        assert await stock.wormhole.get_versions() == {"ours": [1]}
        assert delegate.told["versions"] == {"theirs": {"x": None}}
        assert await stock.wormhole.get_verifier() == delegate.told["verifier"]
        assert ours_.derive_key("übung", 64) == stock.wormhole.derive_key("übung", 64)
        ours_.close()
        assert await stock.close() == await delegate.tells("closed") == "happy"

    reactor.run(exchange, timeout=60)
    server.wait_until_empty()


@pytest.mark.parametrize("who", ["ours", "stock"])
def test_a_code_in_other_letters(server: MailboxServer, who: str) -> None:
    """A code that is not ASCII means the same in composed and decomposed letters."""

    async def exchange() -> None:
        delegate = Delegate()
        ours_, stock = ours(server, delegate), StockPeer(server.url, appid=APPID)
        codes = ["77-fu\u0308nf-käse", "77-fünf-ka\u0308se"]
        ours_.set_code(codes[who == "ours"])
        stock.wormhole.set_code(codes[who == "stock"])
        ours_.send_message(b"hello")
        assert await stock.wormhole.get_message() == b"hello"
        ours_.close()
        await stock.close()
        assert await delegate.tells("closed") == "happy"

    reactor.run(exchange, timeout=60)
    server.wait_until_empty()


def test_wrong_words(server: MailboxServer) -> None:
    """With different codes both sides say so, and nothing stays allocated."""
    from wormhole.errors import WrongPasswordError

    async def exchange() -> None:
        delegate = Delegate()
        ours_, stock = ours(server, delegate), StockPeer(server.url, appid=APPID)
        ours_.set_code("78-purple-sausages")
        stock.wormhole.set_code("78-green-sausages")
        with pytest.raises(WrongPasswordError):
            await stock.wormhole.get_versions()
        with pytest.raises(WrongPasswordError):
            await stock.close()
        assert isinstance(await delegate.tells("closed"), holdfast.WrongPasswordError)

    reactor.run(exchange, timeout=60)
    server.wait_until_empty()


def test_the_server_dies_in_the_middle(tmp_path: Path) -> None:
    """A server that is absent at first, then killed and started again, costs nothing."""
    with MailboxServer(tmp_path) as server:
        server.kill9()
        delegate = Delegate()
        news: list[Any] = []

        async def begin() -> Any:
            wormhole = ours(server, delegate, on_status_update=news.append)
            wormhole.allocate_code()
            await reactor.until(lambda: len(news) > 1, "news of the failure")
            return wormhole

        wormhole = reactor.run(begin)
        connection = [each.mailbox_connection for each in news]
        assert isinstance(connection[0], holdfast.status.Connecting)
        assert isinstance(connection[1], holdfast.status.Unreachable)
        server.start()

        async def meet() -> StockPeer:
            code = await delegate.tells("code")
            stock = StockPeer(server.url, appid=APPID)
            stock.wormhole.set_code(code)
            wormhole.send_message(b"before")
            assert await stock.wormhole.get_message() == b"before"
            return stock

        stock = reactor.run(meet, timeout=60)
        server.kill9()

        async def send() -> None:
            wormhole.send_message(b"meanwhile")
            stock.wormhole.send_message(b"meanwhile too")

        reactor.run(send)
        server.start()

        async def end() -> None:
            assert await stock.wormhole.get_message() == b"meanwhile"
            await reactor.until(lambda: delegate.messages, "its message")
            wormhole.close()
            assert await stock.close() == await delegate.tells("closed") == "happy"
            assert delegate.messages == [b"meanwhile too"]

        reactor.run(end, timeout=60)
        server.wait_until_empty()


IN_A_PROCESS = """
import json, os, sys
from pathlib import Path
from twisted.internet import reactor
import holdfast
from holdfast_journal import Journal

url, appid, path = sys.argv[1], sys.argv[2], Path(sys.argv[3])


def say(*words):
    # Not before it is saved, or this might be said again after a kill, and differently.
    journal.queue_outbound(print, *words, flush=True)


class Delegate:
    def wormhole_got_code(self, code):
        say("code", code)

    def wormhole_got_versions(self, versions):
        say("versions")

    def wormhole_got_message(self, message):
        wormhole.send_message(b"thanks for " + message)

    def wormhole_closed(self, result):
        say("closed", result)
        reactor.callLater(0, reactor.stop)


def save():
    new = path.with_suffix(".new")
    new.write_text(json.dumps(wormhole.serialize()))
    os.replace(new, path)


journal, delegate = Journal(save), Delegate()
if path.exists():
    document = json.loads(path.read_text())
    wormhole = holdfast.from_serialized(document, reactor, delegate, journal)
else:
    wormhole = holdfast.create(appid, url, reactor, delegate=delegate, journal=journal)
    wormhole.allocate_code()
    wormhole.send_message(b"from the first life")
if "close" in sys.argv:
    wormhole.close()
reactor.run()
"""


def test_saved_in_one_process_and_resumed_in_another(server: MailboxServer, tmp_path: Path) -> None:
    """An exchange goes on in another process, killed and started again as often as one likes."""
    saved = tmp_path / "wormhole.json"
    words = [sys.executable, "-c", IN_A_PROCESS, server.url, APPID, str(saved)]
    with Child(words) as first:
        code = first.wait_for(r"^code (\S+)$")[1]
        first.kill9()
    with Child(words) as second:

        async def begin() -> StockPeer:
            stock = StockPeer(server.url, appid=APPID)
            stock.wormhole.set_code(code)
            assert await stock.wormhole.get_message() == b"from the first life"
            return stock

        stock = reactor.run(begin, timeout=60)
        second.wait_for("^versions$")
        second.kill9()

    async def go_on() -> None:
        stock.wormhole.send_message(b"hello")
        assert await stock.wormhole.get_message() == b"thanks for hello"

    with Child([*words, "close"]) as third:

        async def end() -> None:
            assert await stock.close() == "happy"

        reactor.run(end, timeout=60)
        assert third.wait_for("^closed (.*)$")[1] == "happy"
        assert "versions" not in third.out
        assert third.wait().status == 0
    assert json.loads(saved.read_text())["version"] >= 1
    server.wait_until_empty()


def test_a_peer_that_closed_without_releasing(tmp_path: Path) -> None:
    """The real server then cuts every connection on which we close; that ends in an error."""
    # A server of its own, because something stays allocated on it.
    with MailboxServer(tmp_path) as server, connect(server.url) as rude:

        def say(**frame: str) -> None:
            rude.send(json.dumps(frame))

        say(type="bind", appid=APPID, side="rude")
        say(type="claim", nameplate="4711")
        while (claimed := json.loads(rude.recv(timeout=30)))["type"] != "claimed":
            pass
        say(type="open", mailbox=claimed["mailbox"])
        delegate = Delegate()

        async def exchange() -> object:
            wormhole = ours(server, delegate)
            wormhole.set_code("4711-purple-sausages")
            await reactor.until(lambda: server.tables().messages, "our pake")
            say(type="close", mood="happy")
            await reactor.until(
                lambda: any(not side["opened"] for side in server.tables().mailbox_sides),
                "the rude side's closing",
            )
            wormhole.close()
            return await delegate.tells("closed")

        ended = reactor.run(exchange, timeout=60)
    assert isinstance(ended, holdfast.ServerError)
    assert str(ended) == "the server cuts every connection on which we close"


@pytest.mark.parametrize("saved", [False, True], ids=["same process", "resumed"])
def test_a_third_party_comes_while_two_are_there(tmp_path: Path, saved: bool) -> None:
    """The real server tells the two nothing; who comes back to the mailbox is refused."""
    from twisted.internet import reactor as real

    # A server of its own, because something stays allocated on it.
    with MailboxServer(tmp_path) as server, connect(server.url) as third:

        async def exchange() -> object:
            delegate, other = Delegate(), Delegate()
            wormhole, peer = ours(server, delegate), ours(server, other)
            wormhole.allocate_code()
            peer.set_code(await delegate.tells("code"))
            await delegate.tells("verifier")
            await other.tells("verifier")
            await reactor.until(lambda: not server.tables().nameplates, "the release")
            [mailbox] = server.tables().mailboxes
            third.send(json.dumps({"type": "bind", "appid": APPID, "side": "third"}))
            third.send(json.dumps({"type": "open", "mailbox": mailbox["id"]}))
            await reactor.until(lambda: len(server.tables().mailbox_sides) == 3, "the third")
            peer.send_message(b"all the same")
            await reactor.until(lambda: delegate.messages, "its message")
            if saved:
                document = wormhole.serialize()
                wormhole.abandon()
                wormhole = holdfast.from_serialized(document, real, delegate)
            else:
                wormhole.close()
            peer.close()
            assert await other.tells("closed") == "happy"
            return await delegate.tells("closed")

        ended = reactor.run(exchange, timeout=60)
    if saved:
        assert isinstance(ended, holdfast.CrowdedError)
        assert str(ended) == "crowded"
    else:
        assert ended == "happy"
