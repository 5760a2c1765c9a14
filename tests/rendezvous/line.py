"""A line in memory: a socket of ours at one end, a server's side of WebSocket at the other."""

from collections.abc import Callable, Sequence
from typing import Any

from attrs import Factory, define, field
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.uri import WebSocketURI

from holdfast.rendezvous.boundaries import ConnectionEnded
from holdfast.rendezvous.websocket import WebSocket

URL = "ws://relay.example/v1"


@define(eq=False)
class Ear:
    """A listener that remembers what it was told."""

    heard: list[Any] = field(factory=list)
    on_opened: Callable[[], None] = lambda: None
    on_received: Callable[[str], None] = lambda _: None
    on_closed: Callable[[], None] = lambda: None

    def opened(self) -> None:
        self.heard.append("opened")
        self.on_opened()

    def received(self, texts: Sequence[str]) -> None:
        for text in texts:
            self.heard.append(text)
            self.on_received(text)

    def closed(self, reason: ConnectionEnded) -> None:
        self.heard.append(reason)
        self.on_closed()

    @property
    def end(self) -> ConnectionEnded:
        """What `closed` said, which was the last thing and said once."""
        ended = [item for item in self.heard if isinstance(item, ConnectionEnded)]
        assert len(ended) == 1, self.heard
        assert self.heard[-1] is ended[0]
        return ended[0]


@define(eq=False)
class Line:
    """The transport of a socket, and the server at its other end."""

    clock: Clock
    protocol: WebSocket
    server: ServerProtocol = Factory(lambda: ServerProtocol(max_size=None))
    written: bytearray = field(factory=bytearray)
    frames: list[Frame] = field(factory=list)
    request: Request | None = None
    producer: Any = None
    connected: bool = True
    disconnecting: bool = False
    # A server that does not take notice of anything.
    deaf: bool = False
    # What waits on the way to a socket that does not read.
    reading: bool = True
    waiting: bytearray = field(factory=bytearray)

    def connect(self) -> None:
        self.protocol.makeConnection(self)

    # What the socket calls.

    def write(self, data: bytes) -> None:
        assert self.connected
        assert not self.disconnecting
        self.written += data
        if self.deaf:
            return
        self.server.receive_data(data)
        for event in self.server.events_received():
            if isinstance(event, Request):
                self.request = event
            else:
                self.frames.append(event)

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:  # noqa: N802
        self.producer = None

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        if self.connected and not self.disconnecting:
            self.reading = True
            self.clock.callLater(0, self.raw, b"")

    def loseConnection(self) -> None:  # noqa: N802
        self.disconnecting = True
        if not self.deaf:
            self.clock.callLater(0, self.lost, ConnectionDone())

    def abortConnection(self) -> None:  # noqa: N802
        self.disconnecting = True
        self.clock.callLater(0, self.lost, ConnectionAborted())

    # What the server does.

    def accept(self) -> None:
        """Answer the request for a WebSocket."""
        assert self.request is not None
        self.server.send_response(self.server.accept(self.request))
        self.flush()

    def say(self, text: str | bytes, fin: bool = True) -> None:
        """Send a text message, or its first piece, even behind a good-bye."""
        self.frame(Opcode.TEXT, text.encode() if isinstance(text, str) else text, fin)

    def more(self, data: bytes, fin: bool) -> None:
        """Send the next piece of a message."""
        self.frame(Opcode.CONT, data, fin)

    def frame(self, opcode: Opcode, data: bytes, fin: bool = True) -> None:
        """Send one frame, allowed or not."""
        self.flush()
        self.raw(Frame(opcode, data, fin).serialize(mask=False))

    def flush(self) -> None:
        self.raw(b"".join(self.server.data_to_send()))

    def raw(self, data: bytes) -> None:
        self.waiting += data
        if self.waiting and self.reading:
            data, self.waiting = bytes(self.waiting), bytearray()
            self.protocol.dataReceived(data)

    def hang_up(self) -> None:
        self.lost(ConnectionDone())

    def break_off(self) -> None:
        self.lost(ConnectionLost())

    def lost(self, problem: Exception) -> None:
        if self.connected:
            self.connected = False
            self.protocol.connectionLost(Failure(problem))

    @property
    def texts(self) -> list[str]:
        """The text messages that came."""
        return [bytes(frame.data).decode() for frame in self.frames if frame.opcode is Opcode.TEXT]

    def count(self, opcode: Opcode) -> int:
        """How many frames of a kind came."""
        return sum(frame.opcode is opcode for frame in self.frames)


@define(eq=False)
class Exchange:
    """Endpoints in memory: what is dialled waits here to be put through or refused."""

    clock: Clock
    calls: list["Call"] = field(factory=list)

    def __call__(self, uri: WebSocketURI) -> "Call":
        call = Call(self, uri)
        self.calls.append(call)
        return call

    @property
    def last(self) -> "Call":
        return self.calls[-1]


@define(eq=False)
class Call:
    """One endpoint, dialled once."""

    exchange: Exchange
    uri: WebSocketURI
    factory: Any = None
    result: Deferred[Any] = field(factory=Deferred)
    line: Line | None = None

    def connect(self, factory: Any) -> Deferred[Any]:
        self.factory = factory
        self.result = Deferred()
        return self.result

    def put_through(self) -> Line:
        """The connection is there."""
        protocol = self.factory.buildProtocol(None)
        self.line = Line(self.exchange.clock, protocol)
        self.line.connect()
        self.result.callback(protocol)
        return self.line

    def open(self) -> Line:
        """The connection is there, and the server takes it."""
        line = self.put_through()
        line.accept()
        return line

    def refuse(self, problem: Exception) -> None:
        self.result.errback(Failure(problem))
