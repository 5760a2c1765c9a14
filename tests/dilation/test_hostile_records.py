"""A peer that has the key, and says what no honest one would."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from holdfast.dilation.records import Ack, Close, Data, Open, Ping, Pong, write
from holdfast.dilation.traffic import Traffic
from tests.dilation.world import Made, World

Ends = tuple[World, Any, Any, Any, Any]


def dilation(wormhole: Any) -> Any:
    return wormhole._inner._happening.dilation._dilation


@pytest.fixture
def ends() -> Ends:
    """A world, both wormholes, and a subchannel's two protocols."""
    world = World()
    a, b, x, y = world.dilated()
    listening = Made()
    world.result(y.listener_for("name").listen(listening))
    ours = world.result(x.connector_for("name").connect(Made()))
    world.run(1)
    return world, a, b, ours, listening.made[0]


def still_works(ends: Ends) -> None:
    """Records go both ways, perhaps over another connection."""
    world, _, _, ours, theirs = ends
    ours.transport.write(b"there")
    theirs.transport.write(b"and back")
    world.run(5)
    assert theirs.data == [b"there"]
    assert ours.data == [b"and back"]


@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        b"\x07unknown",
        b"\x04short",
        b"\x03" + bytes(8) + b"\xff\xfe",
        write(Data(1, 1_000, b"behind a gap")),
        write(Close(1, 2**32 - 1)),
        write(Open(77, 5, "behind a gap")),
    ],
    ids=["empty", "unknown", "short", "no UTF-8", "gap", "last", "open"],
)
def test_what_is_wrong_costs_the_connection(ends: Ends, plaintext: bytes) -> None:
    world, _a, b, _, _ = ends
    link = dilation(b)._traffic.link
    link.send([plaintext])
    world.run(1)
    assert dilation(b)._traffic.link is not link
    still_works(ends)


def test_a_frame_that_is_too_long(ends: Ends) -> None:
    world, _, b, _, _ = ends
    link = dilation(b)._traffic.link
    link.transport.write(b"\xff\xff\xff\xff" + bytes(1000))
    world.run(1)
    assert dilation(b)._traffic.link is not link
    still_works(ends)


def test_what_means_nothing_is_ignored(ends: Ends) -> None:
    """Answers to nothing, and acknowledgements of what was never sent."""
    world, _a, b, _, _ = ends
    link = dilation(b)._traffic.link
    link.send([write(Pong(b"none")), write(Ack(2**32 - 1)), write(Ack(0)), write(Ack(0))])
    world.run(1)
    assert dilation(b)._traffic.link is link
    still_works(ends)


def test_what_comes_again_is_acknowledged_and_dropped(ends: Ends) -> None:
    world, _a, b, ours, theirs = ends
    theirs.transport.write(b"once")
    world.run(1)
    link = dilation(b)._traffic.link
    number = theirs.transport.channel.number
    link.send([write(Data(number, 0, b"once")), write(Data(number, 0, b"another"))])
    world.run(1)
    assert ours.data == [b"once"]
    assert dilation(b)._traffic.link is link


def test_channels_that_it_may_not_open(ends: Ends) -> None:
    """Of our parity, of number 0, twice; and data for what is closed or was never there."""
    world, a, b, ours, _ = ends
    ledger = dilation(b)._ledger
    parity = ours.transport.channel.number
    before = dict(dilation(a)._ledger.channels)
    for record in (
        Open(0, 0, "name"),
        Open(parity, 0, "name"),
        Open(parity + 20, 0, "name"),
        Data(98, 0, b"nobody's"),
        Close(98, 0),
        Data(0, 0, b"nobody's"),
    ):
        ledger._keep(evolve(record, seq=ledger.next_out))
        dilation(b)._entries.commit()
    world.run(1)
    assert dilation(a)._ledger.channels == before
    assert ledger.acked == ledger.next_out - 1
    still_works(ends)


def test_a_flood_of_pings_while_we_cannot_answer(ends: Ends) -> None:
    """A few answers are kept."""
    world, a, b, _, _ = ends
    near = dilation(b)._traffic.link
    near.transport.pauseProducing()
    here = dilation(a)._traffic.link
    here.pauseProducing()
    near.send([write(Ping(bytes(4)))] * 10_000)
    world.run(1)
    assert len(dilation(a)._traffic.sending._owed) < 100
    near.transport.resumeProducing()
    here.resumeProducing()
    still_works(ends)


def test_more_opens_than_there_is_room_for(ends: Ends) -> None:
    """Those beyond the limit are closed; memory does not grow with their number."""
    world, a, b, _, _ = ends
    ledger = dilation(b)._ledger
    ledger.next_channel += 1000
    for _ in range(10_500):
        ledger.open("nobody listens")
    dilation(b)._entries.commit()
    world.run(5)
    assert len(dilation(a)._ledger.channels) <= 10_001
    assert ledger.acked == ledger.next_out - 1
    still_works(ends)


def test_a_peer_that_is_wrong_on_every_connection(ends: Ends) -> None:
    """There are less and less of them."""
    world, _a, b, _, _ = ends
    sent = Traffic.begin

    def begin(self: Traffic, socket: Any) -> None:
        sent(self, socket)
        if self is dilation(b)._traffic and self.link is not None:
            self.link.send([b"nonsense"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Traffic, "begin", begin)
        world.sockets.cut()
        world.run(600)
        assert len(world.sockets.lines) < 400
    world.run(60)
    still_works(ends)
