"""The classes of stock at the other end of a socket: greeting, frames and records."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from wormhole._dilation import connection as stock
from wormhole._dilation import connector as stock_connector
from wormhole._dilation.roles import FOLLOWER, LEADER
from wormhole._interfaces import IDilationConnector
from wormhole.eventual import EventualQueue
from zope.interface import implementer

from holdfast.dilation.frames import ONE_MESSAGE, Frames, frame
from holdfast.dilation.greeting import NoiseGreeting
from holdfast.dilation.records import Ack, Close, Data, Open, Ping, read, write
from holdfast.transit.handshake import Effects, Ready, Send, Won
from holdfast.transit.keys import TransitKeys

KEY = bytes(range(32))


@implementer(IDilationConnector)
class StockEnd:
    """One end as stock has it, which takes the first candidate, and keeps what it hears."""

    def __init__(self, *, leader: bool, relay_line: bytes | None = None) -> None:
        self.heard: list[Any] = []
        self.candidates: list[Any] = []
        noise = stock_connector.build_noise()
        noise.set_psks(KEY)
        lines = [stock_connector.PROLOGUE_LEADER, stock_connector.PROLOGUE_FOLLOWER]
        if leader:
            noise.set_as_initiator()
        else:
            noise.set_as_responder()
            lines.reverse()
        self.protocol = stock.DilatedConnectionProtocol(
            EventualQueue(Clock()), LEADER if leader else FOLLOWER, "test", self, noise, *lines
        )
        if relay_line is not None:
            self.protocol.use_relay(relay_line)
        self.transport = StringTransport()
        self.protocol.makeConnection(self.transport)

    def add_candidate(self, candidate: Any) -> None:
        """Stock's connector takes a turn of the reactor for this."""
        self.candidates.append(candidate)

    def select(self) -> None:
        """Use the connection; a leader says its KCM."""
        for candidate in self.candidates:
            candidate.select(self)
            if candidate._role is LEADER:
                candidate.send_record(stock.KCM())

    def have_peer(self, connection: Any) -> None:
        """Stock's manager would show it to the user."""

    def got_record(self, record: Any) -> None:
        """What stock understood."""
        self.heard.append(record)

    def say(self) -> bytes:
        """What stock has written since."""
        said: bytes = self.transport.value()
        self.transport.clear()
        return said


def meet(*, leader: bool, relayed: bool) -> tuple[NoiseGreeting, StockEnd, Effects]:
    """Lead a greeting to its end, as `leader` or as follower."""
    side = "0123456789abcdef" if relayed else None
    ours = NoiseGreeting(KEY, leader=leader, ephemeral=b"e" * 32, relay_side=side)
    theirs = StockEnd(
        leader=not leader, relay_line=TransitKeys(KEY).relay_line("f" * 16) if relayed else None
    )
    effects = ours.begin()
    if relayed:
        assert effects == (Send(TransitKeys(KEY).relay_line("0123456789abcdef")),)
        assert theirs.say() == TransitKeys(KEY).relay_line("f" * 16)
        effects = ours.hear(b"ok\n")
        theirs.protocol.dataReceived(b"ok\n")
    for _ in range(4):
        for effect in effects:
            if isinstance(effect, Send):
                theirs.protocol.dataReceived(effect.data)
        if not leader:
            theirs.select()
            theirs.candidates.clear()
        effects = ours.hear(theirs.say())
        if Ready() in effects:
            effects = ours.choose()
            break
    for effect in effects:
        if isinstance(effect, Send):
            theirs.protocol.dataReceived(effect.data)
    theirs.select()
    assert ours.state == "won" and not theirs.transport.disconnecting
    return ours, theirs, effects


@pytest.mark.parametrize("leader", [True, False])
@pytest.mark.parametrize("relayed", [True, False])
def test_records_both_ways(leader: bool, relayed: bool) -> None:
    """After the greeting, of all lengths."""
    ours, theirs, effects = meet(leader=leader, relayed=relayed)
    assert effects[-1] == Won(b"")
    sending, receiving = ours.ciphers
    reader = Frames(receiving)
    for length in (0, 10, ONE_MESSAGE - 9, ONE_MESSAGE - 8, 200_000):
        said = frame(sending, write(Data(1, 2, bytes(length))))
        for at in range(0, len(said), 10_000):
            theirs.protocol.dataReceived(said[at : at + 10_000])
        assert theirs.heard.pop() == stock.Data(2, 1, bytes(length))
        theirs.protocol.send_record(stock.Data(4, 3, bytes(length)))
        assert [read(each) for each in reader.feed(theirs.say())] == [Data(3, 4, bytes(length))]
    for record in (Open(1, 0, "fowl"), Close(1, 1), Ack(5), Ping(b"ping")):
        theirs.protocol.dataReceived(frame(sending, write(record)))
    assert theirs.heard == [
        stock.Open(0, 1, "fowl"),
        stock.Close(1, 1),
        stock.Ack(5),
        stock.Ping(b"ping"),
    ]


def test_records_right_behind_the_kcm() -> None:
    """Stock begins to send in the turn in which it says its KCM."""
    ours = NoiseGreeting(KEY, leader=False, ephemeral=b"e" * 32)
    theirs = StockEnd(leader=True)
    for effect in ours.begin() + ours.hear(theirs.say()):
        theirs.protocol.dataReceived(effect.data)
    for effect in ours.hear(theirs.say()):
        theirs.protocol.dataReceived(effect.data)
    theirs.select()
    theirs.protocol.send_record(stock.Open(0, 1, "fowl"))
    assert ours.hear(theirs.say()) == (Ready(),)
    (won,) = ours.choose()
    records = Frames(ours.ciphers[1]).feed(won.leftover)
    assert [read(each) for each in records] == [Open(1, 0, "fowl")]
