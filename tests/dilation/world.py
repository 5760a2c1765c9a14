"""Dilated wormholes without a network: a mailbox server, sockets and a clock in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from holdfast.transit import through
from tests.api.world import CODE, Net

SOCKET = 100_000
"""Bytes that the kernel takes before a writer has to wait."""

READ = 65_536
"""Bytes of one read."""


@define(eq=False)
class Sockets:
    """The network of one host: whoever listens is found by the number of the port."""

    clock: Clock
    hides: bool = False
    ports: dict[int, Factory] = field(factory=dict)
    next_port: int = 1000
    lines: list[End] = field(factory=list)
    """The dialling ends of all connections that there ever were."""
    dialled: list[tuple[str, int]] = field(factory=list)
    refuses: bool = False
    """Whether no connection can be made."""

    def connect(self, host: str, port: int, factory: Factory) -> Deferred[Any]:
        self.dialled.append((host, port))
        listening = self.ports.get(port)
        if listening is None or self.refuses:
            return fail(Refused())
        there = listening.buildProtocol(IPv4Address("TCP", host, 50_000))
        if there is None:
            return fail(Refused())
        here = factory.buildProtocol(IPv4Address("TCP", host, port))
        near, far = End(self.clock, here), End(self.clock, there)
        near.other, far.other = far, near
        self.lines.append(near)
        there.makeConnection(far)
        here.makeConnection(near)
        return succeed(here)

    def listen(self, port: int, factory: Factory) -> Deferred[Any]:
        self.next_port += 1
        number = self.next_port
        self.ports[number] = factory
        return succeed(_Port(self, number))

    def addresses(self) -> Sequence[str]:
        return ["192.0.2.1"]

    def wire(self, transport: Any, leftover: bytes) -> Any:
        raise NotImplementedError

    @property
    def open(self) -> list[End]:
        """The connections that are there."""
        return [line for line in self.lines if not line.gone]

    def cut(self) -> None:
        """Break all connections."""
        for line in self.open:
            line.break_()

    def silence(self) -> None:
        """Let all connections carry nothing more, unnoticed."""
        for line in self.open:
            line.silent = line.other.silent = True


@define(eq=False)
class _Port:
    sockets: Sockets
    port: int

    def stop(self) -> Deferred[None]:
        self.sockets.ports.pop(self.port, None)
        return succeed(None)


@define(eq=False)
class End:
    """One end of a connection, as a transport of Twisted's."""

    clock: Clock
    protocol: Any
    other: Any = None
    bufferSize: int = READ  # noqa: N815
    out: bytearray = field(factory=bytearray)
    """What the other end has not read."""
    producer: Any = None
    paused: bool = False
    reading: bool = True
    closing: bool = False
    gone: bool = False
    silent: bool = False
    moving: bool = False
    most: int = 0
    """The most that has waited."""

    def write(self, data: bytes) -> None:
        if self.gone or self.closing or not data:
            return
        self.out += data
        self.most = max(self.most, len(self.out))
        if self.producer is not None and len(self.out) > SOCKET and not self.paused:
            self.paused = True
            self.producer.pauseProducing()
        self._move_soon()

    def writeSequence(self, pieces: Any) -> None:  # noqa: N802
        self.write(b"".join(pieces))

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        self.producer = producer

    def unregisterProducer(self) -> None:  # noqa: N802
        self.producer = None

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True
        self.other._move_soon()

    def stopProducing(self) -> None:
        self.loseConnection()

    def loseConnection(self) -> None:  # noqa: N802
        self.closing = True
        self._move_soon()

    def abortConnection(self) -> None:  # noqa: N802
        self.break_(ConnectionDone())

    def break_(self, reason: Exception | None = None) -> None:
        """The connection is gone; both ends hear of it."""
        for end in (self, self.other):
            if not end.gone:
                end.gone = True
                if end is self or not self.silent:
                    self.clock.callLater(
                        0, end.protocol.connectionLost, Failure(reason or ConnectionLost())
                    )

    def _move_soon(self) -> None:
        if not self.moving and not self.gone:
            self.moving = True
            self.clock.callLater(0, self._move)

    def _move(self) -> None:
        self.moving = False
        if self.gone or self.silent or self.other.gone or not self.other.reading:
            return
        data = bytes(self.out[:READ])
        del self.out[:READ]
        if data:
            self.other.protocol.dataReceived(data)
        if self.out:
            self._move_soon()
        elif self.paused and not self.gone:
            self.paused = False
            if self.producer is not None:
                self.producer.resumeProducing()
        if self.closing and not self.out and not self.gone:
            self.break_(ConnectionDone())


class Told(Protocol):
    """Keeps what it is told, in order."""

    def __init__(self, address: Any = None) -> None:
        self.address = address
        self.told: list[Any] = []
        self.on_data: Callable[[bytes], object] = lambda data: None

    def connectionMade(self) -> None:
        self.told.append("made")

    def dataReceived(self, data: bytes) -> None:
        self.told.append(data)
        self.on_data(data)

    def connectionLost(self, reason: Any = None) -> None:
        # Stock gives the exception itself.
        self.told.append(type(getattr(reason, "value", reason)).__name__)

    @property
    def data(self) -> list[bytes]:
        return [each for each in self.told if isinstance(each, bytes)]


@define(eq=False)
class Made(Factory):
    """Makes protocols, and keeps them."""

    noisy = False

    make: Callable[[Any], Any] = Told
    made: list[Any] = field(factory=list)

    def buildProtocol(self, addr: Any) -> Any:
        self.made.append(self.make(addr))
        return self.made[-1]


@define(eq=False)
class World(Net):
    """A mailbox server, a clock, sockets, and the wormholes of one test."""

    sockets: Sockets = field(init=False)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.sockets = Sockets(self.clock)
        through(self.clock, self.sockets)

    def dilated(self, **options: Any) -> tuple[Any, Any, Any, Any]:
        """Two wormholes that are dilated and connected, and their `DilatedWormhole`s."""
        a, b = self.create(), self.create()
        x, y = a.dilate(**options), b.dilate()
        a.set_code(CODE)
        b.set_code(CODE)
        self.result(x.when_dilated(), 5)
        self.result(y.when_dilated(), 5)
        return a, b, x, y
