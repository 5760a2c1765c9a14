"""The installed `fowl`, which forwards TCP connections over a dilated wormhole of the stock kind.

It is not among this project's dependencies: `pip install fowl` in an environment of its own, and
put that one's `bin` into PATH. Our end speaks as much of its protocol as forwarding needs (fowl,
docs/frontend-protocol.rst): messages of MessagePack behind their length, on the subprotocols
`fowl-commands` (who listens) and `fowl` (a connection each).
"""

import queue
import shutil
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from twisted.internet import reactor as loop
from twisted.internet.protocol import Factory, Protocol

import holdfast
from holdfast.dilation.manager import Manager
from tests.harness import reactor
from tests.harness.dilated import HIGHEST, LOWEST
from tests.harness.process import Child
from tests.harness.server import MailboxServer

FOWL = shutil.which("fowl")
pytestmark = pytest.mark.skipif(FOWL is None, reason="fowl is not installed (from PyPI)")

APPID = "meejah.ca/wormhole/forward"
HERE = "127.0.0.1"
AGAIN = 0.2
"""Seconds after which a side that is not ready is asked again."""

MUCH = bytes(range(256)) * 8_000

# MessagePack, written out.
REQUEST = b"\x83\xa4kind\xb0request-listener\xabunique-name\xa4echo\xablisten-port\xc0"
LISTENING = b"\x83\xa4kind\xb1listener-response\xabunique-name\xa4echo\xa9listening\xc3"
CONNECT = b"\x81\xabunique-name\xa4echo"
CONNECTED = b"\x81\xa9connected\xc3"

LEADS_AND_FOLLOWS = pytest.mark.parametrize("side", [HIGHEST, LOWEST], ids=["leads", "follows"])
"""We do."""


def message(body: bytes) -> bytes:
    return struct.pack("!H", len(body)) + body


class Commands(Protocol):
    """Tells that what is asked for is listened for."""

    def __init__(self, asked: threading.Event) -> None:
        self._asked = asked

    def dataReceived(self, data: bytes) -> None:
        assert data == message(REQUEST)
        self.transport.write(message(LISTENING))
        self._asked.set()


class Asks(Protocol):
    """Asks the other side to listen, again if it is not ready yet."""

    def __init__(self, answered: threading.Event) -> None:
        self._answered = answered

    def connectionMade(self) -> None:
        self.transport.write(message(REQUEST))

    def dataReceived(self, data: bytes) -> None:
        if b"\xa9listening\xc3" in data:
            self._answered.set()
        else:
            loop.callLater(AGAIN, self.connectionMade)


class Echo(Protocol):
    """What a connection leads to, at our end."""

    _is_connected = False

    def dataReceived(self, data: bytes) -> None:
        if self._is_connected:
            self.transport.write(data)
        else:
            assert data == message(CONNECT)
            self._is_connected = True
            self.transport.write(message(CONNECTED))


class Client(Protocol):
    """Connects to the service at the other end, says a lot, and hears it again."""

    def __init__(self, ended: "queue.Queue[bytes]") -> None:
        self._ended = ended
        self._heard = bytearray()
        self._is_connected = False

    def connectionMade(self) -> None:
        self.transport.write(message(CONNECT))

    def dataReceived(self, data: bytes) -> None:
        if self._is_connected:
            self._heard += data
            if len(self._heard) == len(MUCH):
                self.transport.loseConnection()
        elif data == message(CONNECTED):
            self._is_connected = True
            for start in range(0, len(MUCH), 50_000):
                self.transport.write(MUCH[start : start + 50_000])

    def connectionLost(self, reason: Any = None) -> None:
        self._ended.put(bytes(self._heard))


class Fowl:
    """Our end."""

    def __init__(self, server: MailboxServer, code: str, side: str) -> None:
        begin = Manager.begin
        Manager.begin = staticmethod(lambda _: begin(side))  # type: ignore[assignment]
        try:
            self.wormhole: Any = reactor.call(
                lambda: holdfast.create(APPID, server.url, loop, versions={"fowl": {}})
            )
            self.dilated: Any = reactor.call(self.wormhole.dilate)
        finally:
            Manager.begin = begin  # type: ignore[method-assign]
        reactor.call(self.wormhole.set_code, code)

    def listen(self, name: str, protocol: Any) -> None:
        reactor.run(lambda: self.dilated.listener_for(name).listen(Factory.forProtocol(protocol)))

    def connect(self, name: str, protocol: Any) -> None:
        reactor.run(lambda: self.dilated.connector_for(name).connect(Factory.forProtocol(protocol)))

    def close(self) -> None:
        assert reactor.run(self.wormhole.close) == "happy"


@pytest.fixture
def code(request: pytest.FixtureRequest) -> str:
    """A new one for each test."""
    return f"{abs(hash(request.node.name)) % 10_000}-fowl"


def fowl(server: MailboxServer, *words: str) -> Child:
    assert FOWL is not None
    return Child([FOWL, "--no-logo", "--mailbox", server.url, *words], fresh=True)


@pytest.fixture
def service() -> Iterator[int]:
    """The port of a program that echoes, which knows nothing of wormholes."""
    door = socket.create_server((HERE, 0))

    def serve() -> None:
        one, _ = door.accept()
        with one:
            while data := one.recv(65_536):
                one.sendall(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with closing(door):
        yield door.getsockname()[1]


@LEADS_AND_FOLLOWS
def test_its_service(server: MailboxServer, code: str, service: int, side: str) -> None:
    """A program at fowl's end serves a client at ours."""
    asked, ended = threading.Event(), queue.Queue[bytes]()
    ours = Fowl(server, code, side)
    with fowl(server, "--service", f"echo:{service}", code) as theirs:
        ours.listen("fowl-commands", lambda: Commands(asked))
        assert asked.wait(30), theirs.describe()
        heard = b""
        while not heard:  # it refuses until it has read that we listen
            ours.connect("fowl", lambda: Client(ended))
            heard = ended.get(timeout=30)
        assert heard == MUCH, theirs.describe()
        ours.close()


@LEADS_AND_FOLLOWS
def test_its_client(server: MailboxServer, code: str, side: str) -> None:
    """A program at fowl's end is the client of our service."""
    with socket.create_server((HERE, 0)) as free:
        port = free.getsockname()[1]
    answered = threading.Event()
    ours = Fowl(server, code, side)
    with fowl(server, "--client", f"echo:{port}", code) as theirs:
        ours.listen("fowl", Echo)
        ours.connect("fowl-commands", lambda: Asks(answered))
        assert answered.wait(30), theirs.describe()
        with socket.create_connection((HERE, port), timeout=30) as client:
            talking = threading.Thread(target=client.sendall, args=(MUCH,))
            talking.start()
            heard = bytearray()
            while len(heard) < len(MUCH) and (data := client.recv(65_536)):
                heard += data
            talking.join()
        assert bytes(heard) == MUCH
        ours.close()
