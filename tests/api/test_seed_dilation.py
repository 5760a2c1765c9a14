"""The section "Dilation" of the API's first document, sentence by sentence, on both sides.

Each test is about a sentence, or a few, which its docstring gives in brief. The document calls the
mailbox server the rendezvous server.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IPushProducer,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.basic import FileSender, LineReceiver

import holdfast
from holdfast_journal import Journal
from tests.api.world import CODE, Net


@define(eq=False, slots=False)
class Kept(Protocol):
    """Keeps what it is told."""

    came: list[bytes] = field(factory=list)
    ending: list[str] = field(factory=list)

    def dataReceived(self, data: bytes) -> None:
        self.came.append(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.ending.append(reason.type.__name__)

    def write(self, data: bytes) -> None:
        self.transport.write(data)


class Making(Factory):
    """Makes protocols, by default such as keep what they are told, and keeps them."""

    noisy = False

    def __init__(self, make: Callable[[], Any] = Kept) -> None:
        self.make = make
        self.made: list[Any] = []

    def buildProtocol(self, addr: Any) -> Any:
        self.made.append(self.make())
        return self.made[-1]


@define(eq=False)
class Side:
    """One side of a dilated wormhole, with the three endpoints that it got."""

    net: Net
    wormhole: Any
    control: Any = None
    client: Any = None
    server: Any = None

    def connect(self, endpoint: Any, factory: Any = None) -> Any:
        """Connect to `endpoint` and return the protocol."""
        return self.net.result(endpoint.connect(Making() if factory is None else factory), 1)

    def listen(self, factory: Any = None) -> Any:
        factory = Making() if factory is None else factory
        self.net.result(self.server.listen(factory))
        return factory


@pytest.fixture
def sides(net: Net) -> tuple[Side, Side]:
    """Two sides that are dilated; which of them leads is a matter of chance."""
    both = Side(net, net.create()), Side(net, net.create())
    waiting = [side.wormhole.dilate() for side in both]
    for side in both:
        side.wormhole.set_code(CODE)
    net.run()
    for side, deferred in zip(both, waiting, strict=True):
        deferred.addCallback(lambda three, side=side: keep(side, three))
    net.run()
    return both


def keep(side: Side, three: Any) -> None:
    side.control, side.client, side.server = three


@pytest.fixture(params=["one way", "the other way"])
def pair(request: pytest.FixtureRequest, sides: tuple[Side, Side]) -> tuple[Side, Side]:
    """The same two, either of which comes first."""
    return sides if request.param == "one way" else sides[::-1]


# "To send bulk data ..."


def test_a_form_that_uses_a_direct_connection(net: Net, sides: tuple[Side, Side]) -> None:
    """To send bulk data, or more than a few messages, it is dilated: a direct TCP connection."""
    ours, theirs = sides
    listening = theirs.listen()
    frames = len(net.network.frames)
    opened = ours.connect(ours.client)
    for number in range(100):
        opened.write(b"%d" % number * 1000)
    net.run(1)
    assert len(listening.made[0].came) == 100
    assert len(net.network.frames) == frames, "nothing of it goes through the mailbox server"
    assert len(net.network.direct.ends) == 2, "the two ends of one connection"


def test_undilated(net: Net) -> None:
    """All wormholes start out undilated: all messages are queued on the server."""
    ours, theirs = net.pair(dilation=True)
    ours.send_message(b"hello")
    assert net.result(theirs.get_message()) == b"hello"
    assert net.network.direct.ends == []
    assert "add" in [frame["type"] for frame in net.network.frames]


def test_dilate_eventually_yields_endpoints(net: Net) -> None:
    """Calling `w.dilate()` begins it, and eventually yields endpoints."""
    ours, theirs = net.create(), net.create(dilation=True)
    three: list[Any] = []
    ours.dilate().addCallback(three.append)
    ours.set_code(CODE)
    theirs.set_code(CODE)
    net.run(5)
    assert three == [], "the other side has not dilated yet"
    theirs.dilate()
    net.run()
    [(control, client, server)] = three
    assert IStreamClientEndpoint.providedBy(control)
    assert IStreamClientEndpoint.providedBy(client)
    assert IStreamServerEndpoint.providedBy(server)


def test_messages_go_on(net: Net, sides: tuple[Side, Side]) -> None:
    """Once dilated, messages are disabled ("TODO: really?"): they are not, as with stock."""
    ours, theirs = sides
    ours.wormhole.send_message(b"beside it")
    assert net.result(theirs.wormhole.get_message()) == b"beside it"


def test_a_transport_for_any_protocol(net: Net, pair: tuple[Side, Side]) -> None:
    """A subchannel behaves like a regular ITransport: glue it to the protocol of your choice."""

    class Upper(LineReceiver):
        def lineReceived(self, line: bytes) -> None:
            self.sendLine(line.upper())

    ours, theirs = pair
    theirs.listen(Making(Upper))
    opened = ours.connect(ours.client)
    assert ITransport.providedBy(opened.transport)
    assert IAddress.providedBy(opened.transport.getPeer())
    assert IAddress.providedBy(opened.transport.getHost())
    opened.transport.writeSequence([b"one\r\n", b"two\r"])
    opened.write(b"\n")
    net.run()
    assert b"".join(opened.came) == b"ONE\r\nTWO\r\n"
    opened.transport.loseConnection()
    net.run()
    assert opened.ending == ["ConnectionDone"]


def test_consumers_and_producers(net: Net, pair: tuple[Side, Side]) -> None:
    """They also implement IConsumer and IProducer: who reads slowly slows the writer down."""
    ours, theirs = pair
    listening = theirs.listen()
    opened = ours.connect(ours.client)
    net.run()
    [reader] = listening.made
    assert IConsumer.providedBy(opened.transport)
    assert IPushProducer.providedBy(opened.transport)
    endless = Endless(opened.transport)
    reader.transport.pauseProducing()
    opened.transport.registerProducer(endless, True)
    for _ in range(1000):
        endless.more()
        net.run()
    assert reader.came == []
    assert not endless.goes_on
    before = endless.wrote
    assert before < 400, "of 65 kB each: what waits is bounded"
    reader.transport.resumeProducing()
    for _ in range(20):
        endless.more()
        net.run()
    assert len(reader.came) > before
    opened.transport.unregisterProducer()


@define(eq=False)
class Endless:
    """Writes as long as it may."""

    transport: Any
    goes_on: bool = True
    wrote: int = 0

    def more(self) -> None:
        if self.goes_on:
            self.wrote += 1
            self.transport.write(bytes(65_000))

    def pauseProducing(self) -> None:
        self.goes_on = False

    def resumeProducing(self) -> None:
        self.goes_on = True

    def stopProducing(self) -> None:
        self.goes_on = False


def test_durable(net: Net, pair: tuple[Side, Side]) -> None:
    """While both processes run, subchannels survive connections that are dropped."""
    ours, theirs = pair
    listening = theirs.listen()
    opened = ours.connect(ours.client)
    for number in range(30):
        opened.write(b"%d" % number)
        if number % 10 == 5:
            net.network.direct.cut()
        net.run(0 if number % 3 else 2)
    net.run(60)
    assert listening.made[0].came == [b"%d" % number for number in range(30)]


def test_a_laptop_that_is_moved(net: Net, pair: tuple[Side, Side]) -> None:
    """A transfer goes on from a new address, after the old one was gone for a while."""
    ours, theirs = pair
    listening = theirs.listen()
    opened = ours.connect(ours.client)
    opened.write(b"at home")
    net.run()
    net.network.direct.is_up = False
    net.network.direct.cut()
    opened.write(b"closed")
    net.run(3600)
    assert listening.made[0].came == [b"at home"]
    net.network.direct.is_up = True
    net.run(600)
    assert listening.made[0].came == [b"at home", b"closed"]


# "What's good about ..."


def test_an_undilated_one_needs_no_direct_connection(net: Net) -> None:
    """Good about a non-dilated one: no delay while a direct connection is tried."""
    ours, theirs = net.pair()
    ours.send_message(b"at once")
    assert net.result(theirs.get_message()) == b"at once"
    assert net.network.direct.listening == {}


@pytest.mark.parametrize("dilated", [False, True])
def test_journaled(net: Net, dilated: bool) -> None:
    """It works with journaled mode: so does a dilated one here, whose subchannels survive too."""
    saved: list[Any] = []
    app = App(net, saved)
    app.begin()
    theirs = net.create()
    kept: list[bytes] = []
    if dilated:
        theirs.dilate().listener_for("x").listen(Making(lambda: Kept(kept)))
        app.wormhole.dilate()
    theirs.set_code(CODE)
    app.wormhole.set_code(CODE)
    net.run(1)
    app.die()
    again = App(net, saved)
    again.begin()
    net.run(1)
    if dilated:
        again.opened.write(b"from the next process")
        net.run(5)
        assert kept == [b"from the first", b"from the next process"]
        assert again.resumed
    else:
        again.wormhole.send_message(b"from the next process")
        assert net.result(theirs.get_message()) == b"from the next process"


@define(eq=False)
class App:
    """A journaled application."""

    net: Net
    saved: list[Any]
    wormhole: Any = None
    opened: Any = None
    resumed: bool = False

    def begin(self) -> None:
        journal = Journal(self.save)
        if self.saved:
            self.wormhole = self.net.resume(self.saved[-1], self, journal)
        else:
            self.wormhole = self.net.create(delegate=self, journal=journal)

    def save(self) -> None:
        if self.wormhole is not None:
            self.saved.append(self.wormhole.serialize())

    def die(self) -> None:
        self.wormhole.abandon()
        self.wormhole = None

    def wormhole_dilated(self, dilated: Any) -> None:
        endpoint, self.resumed = dilated.connector_for("x"), dilated.resumed
        if dilated.resumed:
            [self.opened] = endpoint.resume(Making())
        else:
            opening = endpoint.connect(Making())
            opening.addCallback(lambda opened: opened.write(b"from the first"))


# "Dilated wormholes can provide multiple subchannels ..."


def test_multiplexed(net: Net, pair: tuple[Side, Side]) -> None:
    """Subchannels share the one connection; each is a stream, opened and closed by itself."""
    ours, theirs = pair
    listening = theirs.listen()
    opened = [ours.connect(ours.client) for _ in range(3)]
    for number, each in enumerate(opened):
        each.write(b"%d" % number)
    opened[1].transport.loseConnection()
    net.run()
    opened[2].write(b"more")
    late = ours.connect(ours.client)
    late.write(b"late")
    net.run()
    assert [each.came for each in listening.made] == [[b"0"], [b"1"], [b"2", b"more"], [b"late"]]
    assert [each.ending for each in opened] == [[], ["ConnectionDone"], []]
    assert [each.ending for each in listening.made] == [[], ["ConnectionDone"], [], []]
    assert len(net.network.direct.ends) == 2


def test_a_triple(sides: tuple[Side, Side]) -> None:
    """The Deferred fires with a triple of endpoints, on both sides."""
    for side in sides:
        assert None not in (side.control, side.client, side.server)


def test_a_triple_that_is_awaited(net: Net) -> None:
    """It may also be awaited, and unpacked before it fires: then the endpoints wait."""
    ours, theirs = net.create(), net.create()
    control, _client, _server = ours.dilate()
    there, _client, _server = theirs.dilate()
    connecting = [each.connect(Making()) for each in (control, there)]
    ours.set_code(CODE)
    theirs.set_code(CODE)
    protocols = [net.result(each, 1) for each in connecting]
    protocols[0].write(b"hello")
    net.run()
    assert protocols[1].came == [b"hello"]


# "The control channel ..."


def test_the_control_channel(net: Net, pair: tuple[Side, Side]) -> None:
    """Both sides connect to it, whoever leads; it is symmetric, and one channel."""
    ours, theirs = pair
    first = ours.control.connect(Making())
    net.run(1)
    second = theirs.control.connect(Making())
    here, there = net.result(first), net.result(second)
    here.write(b"I am the sender")
    there.write(b"then I receive")
    net.run()
    assert (here.came, there.came) == ([b"then I receive"], [b"I am the sender"])
    there.transport.loseConnection()
    net.run()
    assert here.ending == there.ending == ["ConnectionDone"]


def test_the_control_channel_is_single_use(net: Net, sides: tuple[Side, Side]) -> None:
    """Calling `.connect()` a second time will fail; the first channel goes on."""
    opening = [side.control.connect(Making()) for side in sides]
    opened = [net.result(each, 1) for each in opening]
    for side in sides:
        with pytest.raises(holdfast.EndpointUsedError):
            net.result(side.control.connect(Making()))
    opened[0].write(b"still there")
    net.run()
    assert opened[1].came == [b"still there"]


def test_the_control_channel_is_enough(net: Net, sides: tuple[Side, Side]) -> None:
    """No application has to use subchannels: the control channel is enough."""
    ours, theirs = sides
    opening = [each.control.connect(Making()) for each in sides]
    here, there = (net.result(each) for each in opening)
    here.write(b"all there is to say")
    ending = ours.wormhole.close()
    assert net.result(ending, 20) == "happy"
    assert there.came == [b"all there is to say"]
    assert net.result(theirs.wormhole.close(), 20) == "happy"


# "The subchannel endpoints ..."


def test_one_listens_and_one_connects(net: Net, pair: tuple[Side, Side]) -> None:
    """Not symmetric: one side listens, the other connects, and it may be either, at any time."""
    ours, theirs = pair
    listening = ours.listen(), theirs.listen()
    for time in range(2):
        for side, other in ((ours, listening[1]), (theirs, listening[0])):
            side.connect(side.client).write(b"%d" % time)
            net.run(100)
            assert other.made[-1].came == [b"%d" % time]


def test_two_that_connect_do_not_meet(net: Net, sides: tuple[Side, Side]) -> None:
    """A client endpoint leads to the other side's server endpoint, and to nothing else."""
    opened = [side.connect(side.client) for side in sides]
    opened[0].write(b"to whoever listens")
    net.run(60)
    assert opened[1].came == []
    listening = sides[1].listen()
    net.run()
    assert listening.made[0].came == [b"to whoever listens"]


def test_the_client_endpoint_is_reusable(net: Net, pair: tuple[Side, Side]) -> None:
    """The client endpoint is reusable."""
    ours, theirs = pair
    listening = theirs.listen()
    for _ in range(5):
        ours.connect(ours.client)
    net.run()
    assert len(listening.made) == 5


def test_the_server_endpoint_is_single_use(net: Net, sides: tuple[Side, Side]) -> None:
    """`.listen(factory)` may only be called once."""
    for side in sides:
        first = side.listen()
        with pytest.raises(holdfast.EndpointUsedError):
            net.result(side.server.listen(Making()))
        other = sides[0] if side is sides[1] else sides[1]
        other.connect(other.client)
        net.run()
        assert len(first.made) == 1


def test_a_listener_that_comes_late(net: Net, pair: tuple[Side, Side]) -> None:
    """The listener is attached once the endpoints are there; what came before waits for it."""
    ours, theirs = pair
    opened = ours.connect(ours.client)
    opened.write(b"early")
    opened.transport.loseConnection()
    net.run(60)
    listening = theirs.listen()
    net.run()
    assert listening.made[0].came == [b"early"]
    assert listening.made[0].ending == ["ConnectionDone"]


# "For a bidirectional file-transfer application ..."


@define(eq=False, slots=False)
class FileSending(Protocol):
    """The document's sender: a description, then the file by Twisted's own FileSender."""

    metadata: bytes
    file: Any

    def connectionMade(self) -> None:
        self.transport.write(self.metadata)
        sending = FileSender().beginFileTransfer(self.file, self.transport)
        sending.addBoth(lambda _: self.transport.loseConnection())


@define(eq=False, slots=False)
class FileReceiving(Protocol):
    """The document's receiver: the first record is the description, the others are the file."""

    metadata: bytes | None = None
    file: Any = field(factory=BytesIO)
    is_closed: bool = False

    def dataReceived(self, data: bytes) -> None:
        if self.metadata is None:
            self.metadata = data
        else:
            self.file.write(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.is_closed = True


def test_files_both_ways(net: Net, sides: tuple[Side, Side]) -> None:
    """Both listen; who has a file opens a subchannel, sends it, and closes the subchannel."""
    content = bytes(range(256)) * 4_000
    for side, other in (sides, sides[::-1]):
        listening = other.listen(Making(FileReceiving))
        sending = FileSending(b"a name", BytesIO(content))
        side.client.connect(Making(lambda made=sending: made))
        net.run(5)
        [receiving] = listening.made
        assert (receiving.metadata, receiving.file.getvalue()) == (b"a name", content)
        assert receiving.is_closed
