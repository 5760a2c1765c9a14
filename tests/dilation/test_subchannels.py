"""Subchannels behave as Twisted's TCP does, and survive whatever happens to the connection."""

from __future__ import annotations

import io
from typing import Any

import pytest
from attrs import define
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IPullProducer,
    IPushProducer,
    ITransport,
)
from twisted.protocols import amp
from twisted.protocols.basic import FileSender
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.dilation.world import Made, Told, World


def opened(world: World, x: Any, y: Any, name: str = "proto", make: Any = Told) -> tuple[Any, Any]:
    """A subchannel that x has opened, and y listens for."""
    listening = Made(make)
    world.result(y.listener_for(name).listen(listening))
    ours = world.result(x.connector_for(name).connect(Made(make)))
    world.run(1)
    return ours, listening.made[-1]


def test_data_goes_both_ways_in_the_records_in_which_it_was_written() -> None:
    world = World()
    _, _, x, y = world.dilated()
    for one, other in ((x, y), (y, x)):
        ours, theirs = opened(world, one, other, "some" if one is x else "other")
        ours.transport.write(b"")
        ours.transport.writeSequence([b"one ", b"record"])
        ours.transport.write(bytes(200_000))
        theirs.transport.write(bytearray(b"back"))
        world.run(1)
        assert theirs.data == [b"", b"one record", bytes(200_000)]
        assert ours.data == [b"back"]


def test_the_address_says_which_subchannel_it_is() -> None:
    world = World()
    _, _, x, y = world.dilated()
    ours, theirs = opened(world, x, y)
    address = theirs.transport.getPeer()
    assert address == theirs.address == ours.address
    assert (address.subprotocol, address.resumed, address.received) == ("proto", False, 0)
    assert address.state is None
    assert theirs.transport.getHost() == ours.transport.getHost()


def test_interfaces() -> None:
    world = World()
    _, _, x, y = world.dilated()
    ours, _ = opened(world, x, y)
    for interface in (ITransport, IConsumer, IPushProducer):
        assert verifyObject(interface, ours.transport)
    with pytest.raises(TypeError):
        ours.transport.write("text")
    with pytest.raises(ValueError, match="at most"):
        ours.transport.write(bytes(64 * 2**20))


@pytest.mark.parametrize("closer", [0, 1])
def test_a_close_is_told_on_both_sides(closer: int) -> None:
    """What was written before it arrives; what is written after it does not, and raises nothing."""
    world = World()
    _, _, x, y = world.dilated()
    pair = opened(world, x, y)
    pair[0].transport.write(b"last")
    pair[closer].transport.loseConnection()
    pair[closer].transport.write(b"too late")
    pair[closer].transport.loseConnection()
    world.run(1)
    assert pair[0].told == ["made", "ConnectionDone"]
    assert pair[1].told == ["made", b"last", "ConnectionDone"]
    for each in pair:
        each.transport.write(b"nothing")
        each.transport.loseConnection()
        each.transport.abortConnection()
        each.transport.stopProducing()
    world.run(1)
    assert [len(each.told) for each in pair] == [2, 3]


@implementer(IHalfCloseableProtocol)
class Half(Told):
    """One that may be closed in one direction."""

    def readConnectionLost(self) -> None:  # noqa: N802
        self.told.append("read")

    def writeConnectionLost(self) -> None:  # noqa: N802
        self.told.append("write")


def test_half_a_close() -> None:
    world = World()
    _, _, x, y = world.dilated()
    ours, theirs = opened(world, x, y, make=Half)
    ours.transport.loseWriteConnection()
    ours.transport.write(b"too late")
    world.run(1)
    assert ours.told == ["made", "write"]
    assert theirs.told == ["made", "read"]
    theirs.transport.write(b"still")
    world.run(1)
    assert ours.data == [b"still"]
    theirs.transport.loseWriteConnection()
    world.run(1)
    assert ours.told == ["made", "write", b"still", "read", "ConnectionDone"]
    assert theirs.told == ["made", "read", "write", "ConnectionDone"]


def test_a_whole_close_of_what_could_be_closed_by_halves() -> None:
    world = World()
    _, _, x, y = world.dilated()
    ours, theirs = opened(world, x, y, make=Half)
    ours.transport.loseConnection()
    world.run(1)
    theirs.transport.loseConnection()
    world.run(1)
    assert ours.told == ["made", "ConnectionDone"]
    assert theirs.told == ["made", "read", "ConnectionDone"]


def test_a_plain_protocol_may_stop_writing_too() -> None:
    world = World()
    _, _, x, y = world.dilated()
    ours, theirs = opened(world, x, y)
    ours.transport.loseWriteConnection()
    theirs.transport.write(b"crosses")
    world.run(1)
    assert ours.told == ["made", b"crosses", "ConnectionDone"]


def test_an_abort() -> None:
    """Nothing more comes, whatever is under way; the other side sees a close."""
    world = World()
    _, _, x, y = world.dilated()
    ours, theirs = opened(world, x, y)
    theirs.transport.write(b"under way")
    ours.transport.abortConnection()
    assert ours.told == ["made"]
    world.run(1)
    assert ours.told == ["made", "ConnectionAborted"]
    assert theirs.told == ["made", "ConnectionDone"]


def test_a_factory_may_refuse() -> None:
    world = World()
    _, _, x, y = world.dilated()
    world.result(y.listener_for("proto").listen(Made(lambda address: None)))
    ours = world.result(x.connector_for("proto").connect(Made()))
    world.run(1)
    assert ours.told == ["made", "ConnectionDone"]


@define
class Pausing:
    """A producer that writes as fast as it may."""

    transport: Any
    left: int
    size: int = 10_000
    paused: bool = False
    stopped: bool = False
    written: int = 0

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        while not self.paused and self.left:
            self.left -= 1
            self.written += 1
            self.transport.write(bytes(self.size))
        if not self.left:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def stopProducing(self) -> None:
        self.stopped = True


def test_a_slow_reader_stops_the_sender() -> None:
    """Whatever is written, memory is bounded on both sides; and nothing is lost."""
    world = World()
    _, _, x, y = world.dilated()
    ours, theirs = opened(world, x, y)
    producer = Pausing(ours.transport, 2_000)
    theirs.transport.pauseProducing()
    ours.transport.registerProducer(producer, True)
    producer.resumeProducing()
    world.run(20)
    assert producer.paused
    assert producer.written < 600
    assert not theirs.data
    theirs.transport.resumeProducing()
    world.run(1)
    assert not producer.left
    assert theirs.data == [bytes(10_000)] * 2_000
    assert theirs.told[-1] == ours.told[-1] == "ConnectionDone"
    assert all(end.most < 1_500_000 for line in world.sockets.lines for end in (line, line.other))


def test_a_pause_in_the_middle_of_what_was_held() -> None:
    world = World()
    _, _, x, y = world.dilated()
    ours, theirs = opened(world, x, y)
    theirs.transport.pauseProducing()
    for number in range(10):
        ours.transport.write(b"%d" % number)
    ours.transport.loseConnection()
    world.run(1)
    theirs.on_data = lambda data: theirs.transport.pauseProducing()
    for number in range(10):
        assert theirs.data == [b"%d" % each for each in range(number)]
        theirs.transport.resumeProducing()
        world.run(1)
    assert theirs.told[-1] != "ConnectionDone"
    theirs.transport.resumeProducing()
    world.run(1)
    assert theirs.told[-1] == "ConnectionDone"


def test_a_paused_subchannel_does_not_hold_up_the_others() -> None:
    world = World()
    _, _, x, y = world.dilated()
    ours, theirs = opened(world, x, y, "slow")
    theirs.transport.pauseProducing()
    ours.transport.write(bytes(100_000))
    fast, gets = opened(world, x, y, "fast")
    fast.transport.write(b"quick")
    world.run(1)
    assert gets.data == [b"quick"]
    assert not theirs.data


def test_one_that_holds_too_much_back_holds_up_the_others_until_it_is_gone() -> None:
    world = World()
    _, _, x, y = world.dilated()
    ours, theirs = opened(world, x, y, "slow")
    fast, gets = opened(world, x, y, "fast")
    theirs.transport.pauseProducing()
    for _ in range(20):
        ours.transport.write(bytes(100_000))
    fast.transport.write(b"late")
    world.run(5)
    assert not gets.data
    theirs.transport.abortConnection()
    world.run(1)
    assert gets.data == [b"late"]


def test_many_producers_share_fairly() -> None:
    world = World()
    _, _, x, y = world.dilated()
    listening = Made()
    world.result(y.listener_for("proto").listen(listening))
    producers = []
    for _ in range(4):
        ours = world.result(x.connector_for("proto").connect(Made()))
        producers.append(Pausing(ours.transport, 500))
    world.run(1)
    for each in producers:
        each.transport.registerProducer(each, True)
    shares: list[list[int]] = []
    listening.made[0].on_data = lambda data: shares.append([p.written for p in producers])
    for each in producers:
        each.resumeProducing()
    world.run(5)
    assert [len(each.data) for each in listening.made] == [500] * 4
    half = shares[250]
    assert max(half) - min(half) < 250, half


@implementer(IPullProducer)
@define
class Pulled:
    """Writes when it is asked, or a moment later."""

    transport: Any
    clock: Any
    left: int
    later: bool = False

    def resumeProducing(self) -> None:
        if self.later:
            self.clock.callLater(0.01, self.write)
        else:
            self.write()

    def write(self) -> None:
        if self.left:
            self.left -= 1
            self.transport.write(bytes(1000))
        else:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def stopProducing(self) -> None:
        self.left = 0


@pytest.mark.parametrize("later", [False, True])
def test_a_pull_producer(later: bool) -> None:
    world = World()
    _, _, x, y = world.dilated()
    ours, theirs = opened(world, x, y)
    ours.transport.registerProducer(Pulled(ours.transport, world.clock, 50, later), False)
    world.run(5)
    assert len(theirs.data) == 50
    assert theirs.told[-1] == "ConnectionDone"


def test_a_file_as_twisted_sends_one() -> None:
    """The seed's example: a `FileSender`, then a close."""
    world = World()
    _, _, x, y = world.dilated()
    ours, theirs = opened(world, x, y)
    content = bytes(range(256)) * 10_000
    sent = FileSender().beginFileTransfer(io.BytesIO(content), ours.transport)
    sent.addCallback(lambda _: ours.transport.loseConnection())
    world.run(5)
    assert b"".join(theirs.data) == content
    assert theirs.told[-1] == "ConnectionDone"


class Add(amp.Command):
    """A question of Twisted's own protocol."""

    arguments = [(b"a", amp.Integer()), (b"b", amp.Integer())]  # noqa: RUF012
    response = [(b"sum", amp.Integer())]  # noqa: RUF012


class Adding(amp.AMP):
    """Answers it."""

    @Add.responder
    def add(self, a: int, b: int) -> dict[str, int]:
        return {"sum": a + b}


def test_a_protocol_of_twisteds() -> None:
    """It asks and answers in both directions, over broken connections too."""
    world = World()
    _, _, x, y = world.dilated()
    ours, theirs = opened(world, x, y, make=lambda address: Adding())
    for number in range(5):
        asked = [each.callRemote(Add, a=number, b=40) for each in (ours, theirs)]
        world.sockets.cut()
        world.run(5)
        assert [world.result(each)["sum"] for each in asked] == [number + 40] * 2


def test_a_close_waits_for_the_producer() -> None:
    """As with TCP: what it has begun it may finish."""
    world = World()
    _, _, x, y = world.dilated()
    ours, theirs = opened(world, x, y)
    producer = Pausing(ours.transport, 300)
    ours.transport.registerProducer(producer, True)
    producer.resumeProducing()
    assert producer.left
    ours.transport.loseConnection()
    world.run(5)
    assert len(theirs.data) == 300
    assert theirs.told[-1] == ours.told[-1] == "ConnectionDone"


def test_a_producer_is_told_of_the_end() -> None:
    world = World()
    _, _, x, y = world.dilated()
    ours, theirs = opened(world, x, y)
    producer = Pausing(ours.transport, 100)
    ours.transport.registerProducer(producer, True)
    with pytest.raises(RuntimeError):
        ours.transport.registerProducer(producer, True)
    theirs.transport.loseConnection()
    world.run(1)
    assert producer.stopped
    late = Pausing(ours.transport, 100)
    ours.transport.registerProducer(late, True)
    assert late.stopped


def test_what_comes_before_somebody_listens_waits() -> None:
    world = World()
    _, _, x, y = world.dilated()
    ours = world.result(x.connector_for("proto").connect(Made()))
    ours.transport.write(b"early")
    ours.transport.loseConnection()
    world.run(1)
    listening = Made()
    world.result(y.listener_for("proto").listen(listening))
    world.run(1)
    [theirs] = listening.made
    assert theirs.told == ["made", b"early", "ConnectionDone"]
    assert ours.told == ["made", "ConnectionDone"]


def test_names_that_nobody_expects_are_closed() -> None:
    world = World()
    _, _, y, x = world.dilated(expected_subprotocols=["good"])
    good = world.result(x.connector_for("good").connect(Made()))
    bad = world.result(x.connector_for("bad").connect(Made()))
    world.run(1)
    assert good.told == ["made"]
    assert bad.told == ["made", "ConnectionDone"]
    listening = Made()
    world.result(y.listener_for("good").listen(listening))
    assert len(listening.made) == 1


@pytest.mark.parametrize("way", ["cut", "silence", "refuse"])
def test_the_connection_may_be_lost_at_any_time(way: str) -> None:
    """Nothing is lost, doubled or reordered, in both directions."""
    world = World()
    _, _, x, y = world.dilated()
    pair = opened(world, x, y)
    for number in range(60):
        for each in pair:
            each.transport.write(b"%d" % number + bytes(20_000))
        if number % 10 == 5:
            world.clock.advance(0)
            world.clock.advance(0)
            if way == "silence":
                world.sockets.silence()
            else:
                world.sockets.cut()
        if way == "refuse":
            world.sockets.refuses = number % 20 < 10
        world.run(0.05)
    world.run(300)
    for each in pair:
        assert [data.rstrip(b"\0") for data in each.data] == [
            (b"%d" % number).rstrip(b"\0") for number in range(60)
        ]
    assert len(world.sockets.lines) > 3


def test_what_is_written_while_there_is_no_connection_waits() -> None:
    world = World()
    _, _, x, y = world.dilated()
    pair = opened(world, x, y)
    world.sockets.refuses = True
    world.sockets.cut()
    world.run(5)
    for each in pair:
        each.transport.write(b"patient")
        each.transport.loseConnection()
    world.run(5)
    world.sockets.refuses = False
    world.run(30)
    for each in pair:
        assert each.told == ["made", b"patient", "ConnectionDone"]


class Planning(Half):
    """One that can make what it has planned."""

    def make_record(self, plan: str, index: int) -> bytes:
        return f"{plan} {index}".encode()


@pytest.mark.parametrize(
    ("end", "reason"),
    [("loseWriteConnection", "ConnectionDone"), ("abortConnection", "ConnectionAborted")],
)
def test_who_has_planned_is_there_until_the_peer_has_it(end: str, reason: str) -> None:
    """It is told of the end only then, and nothing behind it gets stuck."""
    world = World()
    _, _, x, y = world.dilated()
    ours, theirs = opened(world, x, y, make=Planning)
    theirs.transport.loseWriteConnection()
    world.run(1)
    world.sockets.refuses = True
    world.sockets.cut()
    world.run(5)
    ours.transport.write_plan("planned", 3)
    getattr(ours.transport, end)()
    behind = world.result(x.connector_for("behind").connect(Made()))
    behind.transport.write(b"this")
    world.run(5)
    assert reason not in ours.told
    world.sockets.refuses = False
    listening = Made()
    world.result(y.listener_for("behind").listen(listening))
    world.run(30)
    assert theirs.data == [b"planned 0", b"planned 1", b"planned 2"]
    assert theirs.told[-1] == "ConnectionDone"
    assert ours.told[-1] == reason
    assert [each.data for each in listening.made] == [[b"this"]]
