"""`tor=`: every connection goes through Tor, and none by another way."""

import importlib.util
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor as real
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.task import Clock

import holdfast
from holdfast.rendezvous.tor import TorManager
from tests.api.world import APPID
from tests.harness import reactor
from tests.harness.process import Child
from tests.harness.scripted import StockPeer
from tests.harness.server import MailboxServer
from tests.harness.waiting import until

needs_txtorcon = pytest.mark.skipif(
    importlib.util.find_spec("txtorcon") is None,
    reason="txtorcon is not installed (the extra `tor`)",
)


class OnlyTor(Clock):
    """A reactor on which every connection but Tor's own fails the test."""

    def __init__(self) -> None:
        super().__init__()
        self.tried: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("connect", "resolve", "nameResolver", "spawn", "listen")):
            self.tried.append(name)
            raise AssertionError(f"{name} without Tor")
        raise AttributeError(name)


class Streams:
    """A Tor that keeps what it is asked for."""

    def __init__(self, connect: Any) -> None:
        self.asked: list[tuple[str, int, bool]] = []
        self._connect = connect

    def stream_via(self, host: str, port: int, tls: bool = False) -> Any:
        self.asked.append((host, port, tls))
        return self._connect(host, port)


class Dead:
    """An endpoint that nobody answers."""

    def connect(self, factory: object) -> Deferred[Any]:
        return fail(Refused())


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("ws://relay.example:4000/v1", ("relay.example", 4000, False)),
        ("wss://relay.example/v1", ("relay.example", 443, True)),
        ("ws://abcdefghijklmnop.onion/v1", ("abcdefghijklmnop.onion", 80, False)),
    ],
)
@pytest.mark.parametrize("wrapped", [True, False], ids=["TorManager", "txtorcon's own"])
def test_all_connections_go_through_tor_or_none(
    url: str, asked: tuple[str, int, bool], wrapped: bool
) -> None:
    """Every attempt, the later ones too, is a stream of Tor's; no name is looked up here."""
    clock, streams = OnlyTor(), Streams(lambda host, port: Dead())
    tor: Any = TorManager(streams) if wrapped else streams
    delegate: Any = object()
    ours = holdfast.create(APPID, url, clock, delegate=delegate, tor=tor)
    ours.allocate_code()
    for _ in range(400):
        clock.advance(0.5)
    assert len(streams.asked) > 3
    assert set(streams.asked) == {asked}
    assert clock.tried == []
    ours.abandon()


def test_a_resumed_wormhole_goes_through_tor_when_told() -> None:
    """`from_serialized(tor=)` too."""
    clock, streams = OnlyTor(), Streams(lambda host, port: Dead())
    first = holdfast.create(
        APPID, "ws://relay.example/v1", clock, delegate=object(), tor=TorManager(streams)
    )
    document = first.serialize()
    first.abandon()
    again = holdfast.from_serialized(document, clock, object(), tor=TorManager(streams))
    clock.advance(1)
    assert len(streams.asked) == 2
    assert clock.tried == []
    again.abandon()


def test_what_knows_no_way_through_tor_is_refused() -> None:
    """At once, before anything is connected."""
    for no_tor in (object(), "tor", 9050):
        tor: Any = no_tor
        with pytest.raises(TypeError, match="stream_via"):
            holdfast.create(APPID, "ws://relay.example/v1", OnlyTor(), tor=tor)


def test_an_exchange_over_streams_of_tor(mailbox: MailboxServer) -> None:
    """With streams that work, the whole exchange goes over them."""
    streams = Streams(lambda host, port: TCP4ClientEndpoint(real, host, port))

    async def exchange() -> None:
        ours = holdfast.create(APPID, mailbox.url, real, tor_manager=TorManager(streams))
        stock = StockPeer(mailbox.url, appid=APPID)
        ours.allocate_code()
        stock.wormhole.set_code(await ours.get_code())
        stock.wormhole.send_message(b"through the onions")
        assert await ours.get_message() == b"through the onions"
        assert await ours.close() == await stock.close() == "happy"

    reactor.run(exchange)
    assert streams.asked == [("127.0.0.1", mailbox.port, False)]


@needs_txtorcon
def test_without_a_running_tor_there_is_an_error_that_says_so() -> None:
    """`get_tor` fails with TorUnavailable; nothing is connected without Tor."""

    async def ask() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = f"tcp:127.0.0.1:{unused.getsockname()[1]}"
            with pytest.raises(holdfast.TorUnavailable, match="Tor cannot be used"):
                await holdfast.get_tor(real, tor_control_port=port)

    reactor.run(lambda: Deferred.fromCoroutine(ask()))


@needs_txtorcon
@pytest.mark.skipif(shutil.which("tor") is None, reason="tor is not installed (a Debian package)")
def test_no_other_connection_is_opened_beside_the_real_tor(tmp_path: Path) -> None:
    """Debian's own tor, without a network: the stream is asked of it, and of nobody else."""
    control = tmp_path / "control"
    tmp_path.chmod(0o700)
    words = [
        *("tor", "-f", "/dev/null", "--defaults-torrc", "/dev/null", "--ignore-missing-torrc"),
        *("--DataDirectory", str(tmp_path / "data"), "--DisableNetwork", "1"),
        *("--SocksPort", f"unix:{tmp_path / 'socks'}", "--CookieAuthentication", "0"),
        *("--ControlPort", f"unix:{control}", "--Log", "notice stdout"),
    ]
    with Child(words) as child, socket.create_server(("127.0.0.1", 0)) as server:
        until(lambda: control.exists() or not child.alive, "tor's control port")
        assert child.alive, child.describe()
        server.settimeout(0)
        port = server.getsockname()[1]
        news: list[Any] = []

        async def ask() -> None:
            manager = await holdfast.get_tor(real, tor_control_port=f"unix:{control}")
            asked: list[Any] = []
            inner = manager._tor.stream_via
            manager._tor.stream_via = lambda *a, **k: asked.append(a) or inner(*a, **k)
            ours = holdfast.create(
                APPID,
                f"ws://127.0.0.1:{port}/v1",
                real,
                delegate=object(),
                tor=manager,
                on_status_update=lambda status: news.append(status.mailbox_connection),
            )
            await reactor.until(lambda: len(news) > 1, "the failure")
            assert asked == [("127.0.0.1", port)]
            ours.close()
            manager._tor._protocol.transport.loseConnection()

        reactor.run(lambda: Deferred.fromCoroutine(ask()))
        assert isinstance(news[1], holdfast.status.Unreachable)
        with pytest.raises(BlockingIOError):
            server.accept()
