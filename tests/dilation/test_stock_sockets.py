"""A contest of ours and a connector of stock find each other, directly and through a relay."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define, field
from twisted.internet import reactor as real
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from wormhole._dilation import connection as stock
from wormhole._dilation.connector import Connector
from wormhole._dilation.roles import FOLLOWER, LEADER
from wormhole._hints import parse_hint
from wormhole._interfaces import IDilationManager
from wormhole.eventual import EventualQueue
from zope.interface import implementer

from holdfast.dilation.control import Hints, read, write_hints
from holdfast.dilation.frames import Frames, frame
from holdfast.dilation.greeting import NoiseGreeting
from holdfast.dilation.records import Data, write
from holdfast.dilation.records import read as read_record
from holdfast.transit import network_of
from holdfast.transit.contest import Candidate, Contest, Link
from holdfast.transit.handshake import Handshake
from holdfast.transit.hints import Hint, address
from tests.harness import reactor

KEY = bytes(range(32))
LENGTHS = (0, 10, 65_510, 65_511, 3_000_000)
HIGH, LOW = "f" * 16, "0" * 16


@implementer(IDilationManager)
class Stock:
    """What stock's connector asks of its manager: hints to say, the connection, its records."""

    def __init__(self, *, leader: bool, relay: str | None) -> None:
        self.said: list[dict[str, Any]] = []
        self.heard: Deferred[list[Any]] = Deferred()
        self.records: list[Any] = []
        self.connector = Connector(
            *(KEY, relay, self, real, EventualQueue(real), relay is not None, None, None),
            *((HIGH, LEADER) if leader else (LOW, FOLLOWER)),
        )
        self.connector.start()

    def send_hints(self, hints: list[dict[str, Any]]) -> None:
        self.said += hints

    def connector_connection_made(self, connection: Any) -> None:
        self.connection = connection
        for number, length in enumerate(LENGTHS):
            connection.send_record(stock.Data(number, 1, bytes(length)))

    def got_record(self, record: Any) -> None:
        self.records.append(record)
        if len(self.records) == len(LENGTHS):
            self.heard.callback(self.records)

    def have_peer(self, connection: Any) -> None:
        """Stock shows it to the user."""

    connector_connection_lost = _hint_status = lambda *_: None


@define(eq=False)
class Ours:
    """Chooses the first candidate."""

    leader: bool
    relay: str | None
    linked: Deferred[Link] = field(factory=Deferred)
    contest: Contest = field(init=False)

    def __attrs_post_init__(self) -> None:
        relays = () if self.relay is None else (address(self.relay),)
        self.contest = Contest(
            *(network_of(real), None, "sender", self),
            side=HIGH if self.leader else LOW,
            relays=relays,
            listen=self.relay is None,
            greet=self.greet,
        )

    def greet(self, at_relay: bool) -> Handshake:
        side = (HIGH if self.leader else LOW) if at_relay else None
        return NoiseGreeting(KEY, leader=self.leader, ephemeral=b"e" * 32, relay_side=side)

    def ready(self, candidate: Candidate) -> None:
        candidate.choose().addCallbacks(self.linked.callback, lambda _: None)

    def exhausted(self, reason: str) -> None:
        self.linked.errback(AssertionError(reason))


class Reader(Protocol):
    """Reads as many records as stock has sent."""

    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self.records: list[Any] = []
        self.done: Deferred[list[Any]] = Deferred()
        self.gone: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.records += [read_record(each) for each in self.frames.feed(data)]
        if len(self.records) == len(LENGTHS):
            self.done.callback(self.records)

    def connectionLost(self, reason: Any = None) -> None:
        self.gone.callback(None)


def hints_of(stock_end: Stock) -> tuple[Hint, ...]:
    """As they come through the mailbox."""
    said = read(write_hints(stock_end.said))
    assert isinstance(said, Hints)
    return said.hints


@pytest.mark.parametrize("leader", [True, False], ids=["we lead", "stock leads"])
@pytest.mark.parametrize("relayed", [False, True], ids=["directly", "relay"])
def test_one_connection_and_records_of_all_lengths(leader: bool, relayed: bool, relay: str) -> None:
    """What each says first is understood, and no other socket is left."""

    async def meeting() -> None:
        ours = Ours(leader, relay if relayed else None)
        theirs = Stock(leader=not leader, relay=relay if relayed else None)
        await ours.contest.listen()
        await reactor.until(lambda: theirs.said, "stock listens")
        ours.contest.dial(hints_of(theirs))
        theirs.connector.got_hints([parse_hint(each) for each in ours.contest.hints()])
        link = await ours.linked
        handshake = link.handshake
        assert isinstance(handshake, NoiseGreeting)
        sending, receiving = handshake.ciphers
        reader = Reader(Frames(receiving))
        link.attach(reader)
        for number, length in enumerate(LENGTHS):
            link.transport.write(frame(sending, write(Data(1, number, bytes(length)))))
        assert await reader.done == [Data(1, n, bytes(each)) for n, each in enumerate(LENGTHS)]
        assert await theirs.heard == [
            stock.Data(n, 1, bytes(each)) for n, each in enumerate(LENGTHS)
        ]
        link.close()
        await reader.gone
        theirs.connector.stop()
        await ours.contest.stop()

    reactor.run(meeting)
