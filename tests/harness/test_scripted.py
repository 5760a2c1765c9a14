"""The scripted stock peer stops where it is told to; other tests rely on it."""

from pathlib import Path

import pytest

from tests.harness import reactor
from tests.harness.scripted import StockPeer
from tests.harness.server import MailboxServer


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with MailboxServer(tmp_path_factory.mktemp("server")) as server:
        yield server


STAGES = [
    ("claim", None, ["bind"]),
    ("open", None, ["bind", "claim"]),
    ("add", "pake", ["bind", "claim", "open"]),
    ("add", "version", ["bind", "claim", "open", "pake", "release"]),
    ("add", "0", ["bind", "claim", "open", "pake", "release", "version"]),
    ("close", None, ["bind", "claim", "open", "pake", "release", "version", "0"]),
]


@pytest.mark.parametrize(("kind", "phase", "before"), STAGES)
def test_stops_before_and_goes_on(
    server: MailboxServer, kind: str, phase: str | None, before: list[str]
) -> None:
    """It sends all that comes before the frame, then nothing, and after go_on() all the rest."""

    async def exchange() -> None:
        left, right = StockPeer(server.url), StockPeer(server.url)
        left.wormhole.allocate_code()
        code = await left.wormhole.get_code()
        left.wormhole.send_message(b"from the left")
        right.stop_before(kind, phase)
        right.wormhole.send_message(b"from the right")
        right.wormhole.set_code(code)
        if kind == "close":
            await right.wormhole.get_message()
            closing = right.wormhole.close()
        await right.stopped()
        assert sorted(phase or kind for kind, phase in right.sent) == sorted(before)
        right.go_on()
        assert await left.wormhole.get_message() == b"from the right"
        if kind != "close":
            assert await right.wormhole.get_message() == b"from the left"
            closing = right.wormhole.close()
        assert await left.close() == await closing == "happy"

    reactor.run(exchange, timeout=60)
    server.wait_until_empty()


def test_drops_its_connection_and_comes_back(server: MailboxServer) -> None:
    """After a cut connection the stock client goes on by itself."""

    async def exchange() -> None:
        left, right = StockPeer(server.url), StockPeer(server.url)
        left.wormhole.allocate_code()
        right.stop_before("add", "version")
        right.wormhole.set_code(await left.wormhole.get_code())
        await right.stopped()
        right.drop_connection()
        await reactor.until(lambda: right.sent.count(("bind", None)) == 2, "a new connection")
        right.go_on()
        left.wormhole.send_message(b"after all")
        assert await right.wormhole.get_message() == b"after all"
        await left.close()
        await right.close()

    reactor.run(exchange, timeout=60)
    server.wait_until_empty()


def test_a_vanished_peer_leaves_what_it_had(server: MailboxServer) -> None:
    """A peer that vanishes releases and closes nothing."""

    async def vanishing() -> str:
        peer = StockPeer(server.url)
        peer.wormhole.allocate_code()
        await peer.has_sent("add", "pake")
        await reactor.until(lambda: server.tables().messages, "its message")
        peer.vanish()
        code: str = await peer.wormhole.get_code()
        return code

    code = reactor.run(vanishing)
    assert [row["name"] for row in server.tables().nameplates] == [code.split("-")[0]]


def test_a_server_is_refused_while_dead_and_back_at_its_port(tmp_path: Path) -> None:
    """A killed server refuses connections, and the next life has the port and the rows."""
    import socket

    with MailboxServer(tmp_path) as server:
        server.kill9()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))
        server.start()
        server.pause()
        # The kernel accepts; nobody answers.
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.setblocking(False)
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with pytest.raises(BlockingIOError):
                connection.recv(1)
            server.resume()
            connection.settimeout(30)
            assert connection.recv(1)
