"""Hosts in memory, between which bytes take one turn of a clock; a relay may be one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from holdfast.transit.network import Network
from holdfast.transit.wire import Wire
from tests.transit.memory_wire import MemoryWire


@define(eq=False)
class World:
    """All hosts, by their names."""

    clock: Clock = field(factory=Clock)
    listening: dict[tuple[str, int], Factory] = field(factory=dict)
    silent: set[str] = field(factory=set)
    """Hosts that do not answer."""
    dialled: list[tuple[float, str, int]] = field(factory=list)

    def host(self, *addresses: str, through_tor: bool = False) -> Host:
        return Host(self, addresses, through_tor)

    def settle(self, seconds: float = 0.0) -> None:
        """Let time pass, and everything happen that follows."""
        for _ in range(20):
            self.clock.advance(0)
        self.clock.advance(seconds)
        for _ in range(20):
            self.clock.advance(0)


@define(eq=False)
class Host:
    """One host, as a network."""

    world: World
    names: Sequence[str]
    hides: bool = False

    @property
    def clock(self) -> Clock:
        return self.world.clock

    def connect(self, host: str, port: int, factory: Factory) -> Deferred[Any]:
        world = self.world
        world.dialled.append((world.clock.seconds(), host, port))
        if host in world.silent:
            return Deferred()
        if (host, port) not in world.listening:
            return fail(Refused())
        there = world.listening[host, port].buildProtocol(IPv4Address("TCP", self.names[0], 50000))
        here = factory.buildProtocol(IPv4Address("TCP", host, port))
        assert here is not None
        near, far = Line(world.clock, here), Line(world.clock, there)
        near.other, far.other = far, near
        if there is None:
            far.closed = True
            world.clock.callLater(0, near.gone)
        else:
            there.makeConnection(far)
        here.makeConnection(near)
        return succeed(here)

    def listen(self, port: int, factory: Factory) -> Deferred[Any]:
        port = port or 1000 + len(self.world.listening)
        places = [(name, port) for name in self.names]
        if any(place in self.world.listening for place in places):
            return fail(CannotListenError("", port, OSError()))
        self.world.listening.update(dict.fromkeys(places, factory))
        return succeed(Listening(self.world, port, places))

    def addresses(self) -> Sequence[str]:
        return self.names

    def wire(self, transport: Any, leftover: bytes) -> Wire:
        return MemoryWire(bytearray(leftover))


@define(eq=False)
class Listening:
    """A port that is open."""

    world: World
    port: int
    places: list[tuple[str, int]]

    def stop(self) -> Deferred[None]:
        for place in self.places:
            del self.world.listening[place]
        return succeed(None)


@define(eq=False)
class Line:
    """One end of a connection: the transport of its protocol."""

    clock: Clock
    protocol: Any
    other: Any = None
    said: bytearray = field(factory=bytearray)
    closed: bool = False
    reading: bool = True
    kept: list[bytes] = field(factory=list)

    def write(self, data: bytes) -> None:
        if not self.closed:
            self.said += data
            self.clock.callLater(0, self.other.hear, bytes(data))

    def writeSequence(self, pieces: Sequence[bytes]) -> None:  # noqa: N802
        self.write(b"".join(pieces))

    bufferSize = 65536  # noqa: N815 - a name of Twisted's

    def registerProducer(self, producer: object, streaming: bool) -> None:  # noqa: N802
        """There is always room."""

    def unregisterProducer(self) -> None:  # noqa: N802
        """Likewise."""

    def hear(self, data: bytes) -> None:
        if self.closed:
            return
        if self.reading:
            self.protocol.dataReceived(data)
        else:
            self.kept.append(data)

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        self.reading = True
        kept, self.kept = self.kept, []
        for data in kept:
            self.clock.callLater(0, self.hear, data)

    def loseConnection(self) -> None:  # noqa: N802
        if not self.closed:
            self.clock.callLater(0, self.other.gone)
            self.clock.callLater(0, self.gone)

    def abortConnection(self) -> None:  # noqa: N802
        self.loseConnection()

    def stopProducing(self) -> None:
        self.loseConnection()

    def gone(self) -> None:
        if not self.closed:
            self.closed = True
            self.protocol.connectionLost(Failure(ConnectionDone()))


class Relay(Factory):
    """Connects two sides that have the same token."""

    def __init__(self) -> None:
        self.waiting: dict[bytes, _AtRelay] = {}

    def buildProtocol(self, addr: Any) -> Protocol:
        return _AtRelay(self)


class _AtRelay(Protocol):
    transport: Any

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.line = b""
        self.partner: _AtRelay | None = None

    def dataReceived(self, data: bytes) -> None:
        if self.partner is not None:
            self.partner.transport.write(data)
            return
        self.line += data
        assert self.line.endswith(b"\n"), "impatient"
        token = self.line.split()[2]
        partner = self.relay.waiting.pop(token, None)
        if partner is None:
            self.relay.waiting[token] = self
            return
        assert partner.line != self.line, "one side twice"
        self.partner, partner.partner = partner, self
        for each in (self, partner):
            each.transport.write(b"ok\n")

    def connectionLost(self, reason: Any = None) -> None:
        if self.partner is not None:
            self.partner.transport.loseConnection()


class Scripted(Protocol):
    """Another program: it says what it is told to say, and keeps what it hears."""

    transport: Any

    def __init__(self, says: bytes = b"") -> None:
        self.says = says
        self.heard = b""
        self.is_gone = False

    def connectionMade(self) -> None:
        if self.says:
            self.transport.write(self.says)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Any = None) -> None:
        self.is_gone = True


class Made(Factory):
    """Makes protocols by a function, and keeps them."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make
        self.made: list[Any] = []

    def buildProtocol(self, addr: Any) -> Any:
        self.made.append(self.make())
        return self.made[-1]


def fits(host: Host) -> Network:
    """What the type checker must see."""
    return host
