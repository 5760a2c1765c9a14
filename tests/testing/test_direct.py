"""Direct connections in memory: as TCP, as far as wormholes can tell."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define, field
from twisted.internet.error import CannotListenError
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.protocol import Factory, Protocol

import holdfast
from holdfast.testing import URL, Clock, MailboxServer, Network
from holdfast.testing.direct import ADDRESS
from holdfast.transit.errors import WireError


@define(eq=False, slots=False)
class Kept(Protocol):
    """Keeps what it is told."""

    told: list[Any] = field(factory=list)

    def dataReceived(self, data: bytes) -> None:
        self.told.append(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.told.append(reason.type.__name__)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def network(clock: Clock) -> Network:
    return Network(MailboxServer(clock.seconds), clock)


@define(eq=False)
class Line:
    """A connection, and the network that it is in."""

    network: Network
    near: Any
    far: Any

    def passes(self) -> tuple[list[Any], list[Any]]:
        """Let everything arrive; return what the two ends were told since the last time."""
        self.network.deliver_all()
        told = self.near.told, self.far.told
        self.near.told, self.far.told = [], []
        return told


@pytest.fixture
def line(network: Network, clock: Clock) -> Line:
    far = Kept()
    host = network.direct.host(clock)
    host.listen(7, Factory.forProtocol(lambda: far))
    return Line(network, host.connect(ADDRESS, 7, Factory.forProtocol(Kept)).result, far)


def test_bytes(line: Line) -> None:
    """They arrive in order, when the test lets them."""
    line.near.transport.write(b"one")
    line.near.transport.writeSequence([b"t", b"wo"])
    line.far.transport.write(b"three")
    assert line.near.told == line.far.told == []
    assert line.passes() == ([b"three"], [b"one", b"two"])
    assert line.far.transport.getPeer().host == line.far.transport.getHost().host == ADDRESS


def test_a_pause(line: Line) -> None:
    """What comes meanwhile waits, the end too."""
    line.far.transport.pauseProducing()
    line.near.transport.write(b"later")
    line.near.transport.stopProducing()
    assert line.passes() == (["ConnectionDone"], [])
    line.far.transport.resumeProducing()
    assert line.passes() == ([], [b"later", "ConnectionDone"])


def test_a_close(line: Line) -> None:
    """Everything that was written before arrives, and nothing that is written after."""
    line.near.transport.write(b"last")
    line.near.transport.loseConnection()
    line.near.transport.loseConnection()
    line.near.transport.write(b"too late")
    assert line.passes() == (["ConnectionDone"], [b"last", "ConnectionDone"])
    assert line.network.direct.ends == []


@pytest.mark.parametrize("way", ["abort", "cut"])
def test_a_break(line: Line, way: str) -> None:
    """Both ends are told, once."""
    if way == "abort":
        line.near.transport.abortConnection()
    else:
        line.network.direct.cut()
    assert line.passes() == (["ConnectionLost"], ["ConnectionLost"])
    line.far.transport.write(b"too late")
    assert line.passes() == ([], [])


def test_what_cannot_be(network: Network, clock: Clock) -> None:
    """Nobody listens there, somebody does already, or the network is down."""
    host = network.direct.host(clock)
    port = host.listen(0, Factory.forProtocol(Kept)).result
    host.listen(port.port, Factory()).addErrback(lambda failure: failure.trap(CannotListenError))

    def refused(address: str, number: int) -> None:
        connecting = host.connect(address, number, Factory.forProtocol(Kept))
        connecting.addErrback(lambda failure: failure.trap(Refused))
        assert connecting.result is Refused

    refused(ADDRESS, port.port + 1)
    refused("192.0.2.2", port.port)
    network.direct.is_up = False
    refused(ADDRESS, port.port)
    network.direct.is_up = True
    port.stop()
    refused(ADDRESS, port.port)
    with pytest.raises(WireError):
        host.wire(None, b"")


def test_a_process_that_has_died(network: Network, clock: Clock) -> None:
    """It sends nothing."""
    far = Kept()
    network.direct.host(clock).listen(7, Factory.forProtocol(lambda: far))
    dead = network.direct.host(clock, lambda: True)
    near = dead.connect(ADDRESS, 7, Factory.forProtocol(Kept)).result
    near.transport.write(b"nothing")
    network.deliver_all()
    assert far.told == []


def test_wormholes_that_dilate(network: Network, clock: Clock) -> None:
    """Two of them connect through memory, and again after a break."""
    kept = Kept()
    ours, theirs = (holdfast.create("example.com/direct", URL, clock) for _ in range(2))
    ours.dilate().listener_for("x").listen(Factory.forProtocol(lambda: kept))
    opening = theirs.dilate().connector_for("x").connect(Factory.forProtocol(Protocol))
    for each in (ours, theirs):
        each.set_code("4-a-b")

    def wait(seconds: float) -> None:
        for _ in range(int(seconds * 10)):
            network.deliver_all()
            clock.advance(0.1)

    wait(1)
    opening.result.transport.write(b"one")
    wait(1)
    network.direct.cut()
    opening.result.transport.write(b"two")
    wait(2)
    assert kept.told == [b"one", b"two"]
    assert len(network.direct.ends) == 2
