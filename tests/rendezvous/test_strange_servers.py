"""Sockets on the loopback interface, against servers that nobody should meet."""

import socket

import pytest
from twisted.internet import reactor
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from holdfast.rendezvous.connector import Connector
from holdfast.rendezvous.dialer import Dialer
from tests.harness.reactor import run
from tests.rendezvous.reality import Stranger, Waiter, listening, url


class Greeter(Stranger):
    """Opens a WebSocket, and then sends whatever bytes it has."""

    greeting = b""

    def asked(self) -> None:
        server = ServerProtocol()
        server.receive_data(self.heard)
        self.heard = b""
        for event in server.events_received():
            assert isinstance(event, Request)
            server.send_response(server.accept(event))
        self.transport.write(b"".join(server.data_to_send()) + self.greeting)


def greeter(greeting: bytes) -> type[Greeter]:
    return type("Greeter", (Greeter,), {"greeting": greeting})


def answer(data: bytes, *, hang_up: bool = True) -> type[Stranger]:
    """A server that sends the same to everybody who asks."""

    class Answer(Stranger):
        def asked(self) -> None:
            self.transport.write(data)
            if hang_up:
                self.transport.loseConnection()

    return Answer


def text(message: bytes) -> bytes:
    return bytes(Frame(Opcode.TEXT, message).serialize(mask=False))


class Closer(Greeter):
    """Says good-bye at once, and hangs up when that is answered."""

    greeting = b"\x88\x02\x03\xe9"

    def dataReceived(self, data: bytes) -> None:
        if data[0] == 0x88:
            self.transport.loseConnection()
        else:
            super().dataReceived(data)


ENDINGS = {
    "404": (answer(b"HTTP/1.1 404 Not Found\r\n\r\nno such page"), "HTTP 404 Not Found"),
    "404, stays": (
        answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", hang_up=False),
        "HTTP 404 Not Found",
    ),
    "hangs up": (answer(b""), "cut the connection during the handshake"),
    "hangs up in the answer": (answer(b"HTTP/1.1 101 Swi"), "during the handshake"),
    "garbage": (answer(bytes(range(256)) * 300, hang_up=False), "no mailbox server there"),
    "huge frame": (greeter(b"\x81\x7f" + (2**40).to_bytes(8, "big") + bytes(999)), "too long"),
    "invalid UTF-8": (greeter(b"\x81\x02\xc3\x28"), "not UTF-8"),
    "broken frame": (greeter(b"\xff\xff" * 100), "WebSocket protocol"),
    "closes": (Closer, "closed the connection (1001)"),
}


@pytest.mark.parametrize(("server", "reason"), ENDINGS.values(), ids=ENDINGS.keys())
def test_endings(server: type[Stranger], reason: str) -> None:
    """Whatever a server does, the connection ends once, for a reason that says what it was."""

    async def dial() -> None:
        async with listening(server) as (port, served):
            waiter = Waiter()
            Dialer(reactor).dial(url(port), waiter)
            ended = await waiter.ending
            assert reason in ended.reason
            assert ended.reason.isprintable()
            await served[0].gone

    run(dial)


def test_nobody_there() -> None:
    """A port on which nobody listens refuses the connection."""

    async def dial() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            waiter = Waiter()
            Dialer(reactor).dial(url(unused.getsockname()[1]), waiter)
            assert (await waiter.ending).reason == (
                "cannot connect: the server refuses connections"
            )

    run(dial)


def test_name_that_does_not_exist() -> None:
    """A name that cannot be found is told as such."""

    async def dial() -> None:
        waiter = Waiter()
        Dialer(reactor).dial("ws://no-such-server.invalid/v1", waiter)
        assert (await waiter.ending).reason == ("cannot connect: the server's name cannot be found")

    run(dial)


def test_server_that_never_speaks() -> None:
    """A server that accepts and never speaks is left when the time is over."""

    async def dial() -> None:
        async with listening(Stranger) as (port, served):
            waiter = Waiter()
            dialer = Dialer(reactor, timeout=0.05)
            dialer.dial(url(port), waiter)
            assert (await waiter.ending).reason == "no connection within 0.05 seconds"
            assert dialer.under_way == 0
            await served[0].gone

    run(dial)


@pytest.mark.parametrize(
    ("interface", "host"),
    [("127.0.0.1", "localhost"), ("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")],
)
def test_names_and_addresses(interface: str, host: str) -> None:
    """Servers are reached by name, by IPv4 and by IPv6 address; messages come through."""

    async def dial() -> None:
        async with listening(greeter(text(b"hello")), interface=interface) as (port, served):
            waiter = Waiter()
            link = Dialer(reactor).dial(url(port, host), waiter)
            await waiter.until_messages(1)
            assert waiter.heard == ["opened", "hello"]
            link.abort()
            await waiter.ending
            await served[0].gone

    run(dial)


def test_giving_up_while_dialling() -> None:
    """A socket given up in every early moment ends once, and nothing is left of it."""

    async def dial() -> None:
        async with listening(Stranger) as (port, _):
            dialer = Dialer(reactor, limit=2)
            waiters = [Waiter() for _ in range(6)]
            links = [dialer.dial(url(port), waiter) for waiter in waiters]
            for link in links:
                link.close()
            for waiter in waiters:
                assert "before it was open" in (await waiter.ending).reason
            assert dialer.under_way == 0

    run(dial)


def test_two_hundred_at_once() -> None:
    """Of 200 dialled at once, no more than 10 are between dialling and open; all open."""
    most = now = 0

    class Counter(Greeter):
        def connectionMade(self) -> None:
            nonlocal most, now
            now += 1
            most = max(most, now)

        def asked(self) -> None:
            nonlocal now
            now -= 1
            super().asked()

    async def dial() -> None:
        async with listening(Counter) as (port, served):
            dialer = Dialer(reactor, limit=10)
            waiters = [Waiter() for _ in range(200)]
            links = [dialer.dial(url(port), waiter) for waiter in waiters]
            assert dialer.under_way == 10
            for waiter in waiters:
                await waiter.opening
            assert dialer.under_way == dialer.waiting == 0
            assert len(served) == 200
            for link in links:
                link.abort()
            for waiter in waiters:
                await waiter.ending

    run(dial)
    assert 1 <= most <= 10


class Home(Waiter):
    """An owner of a connector, which can be waited for like a listener."""

    def connected(self, link: object) -> None:
        self.opened()

    def disconnected(self, reason: object) -> None:
        self.heard.append(reason)

    def failed(self, reason: object, retry_in: float) -> None:
        self.heard.append(reason)


class AtOnce:
    """Chance that never makes anybody wait."""

    def uniform(self, a: float, b: float, /) -> float:
        return 0.0


def test_reconnecting() -> None:
    """A connector gets a connection from a server that first fails in several ways."""
    busy = answer(b"HTTP/1.1 503 Busy\r\n\r\n")
    servers = iter([answer(b"")(), busy(), greeter(text(b"welcome"))()])

    async def dial() -> None:
        async with listening(servers.__next__) as (port, served):
            home = Home()
            connector = Connector(Dialer(reactor), url(port), home, AtOnce())
            connector.start()
            await home.until_messages(1)
            assert [type(item).__name__ for item in home.heard] == [
                "ConnectionEnded",
                "ConnectionEnded",
                "str",
                "str",
            ]
            stopped = connector.stop()
            # The server answers nobody's good-bye: it hangs up.
            served[-1].transport.loseConnection()
            await stopped

    run(dial)
