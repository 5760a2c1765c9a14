"""The greeting as the handshake of a contest: one connection, between hosts in memory."""

from __future__ import annotations

from functools import partial

import pytest
from attrs import define, field

from holdfast.dilation.frames import Frames, frame
from holdfast.dilation.greeting import KEPT, NoiseGreeting
from holdfast.dilation.noise import Cipher
from holdfast.transit.contest import Candidate, Contest, Link
from holdfast.transit.handshake import Handshake
from holdfast.transit.hints import DirectHint, parse
from tests.transit.memory_network import Host, Made, Relay, Scripted, World

KEY = bytes(range(32))
PIECE = 64_000
RELAY = DirectHint("relay", 4001)


@define(eq=False)
class Side:
    """One side of a dilated wormhole, until it has a connection."""

    host: Host
    leader: bool
    listen: bool = True
    eager: bool = True
    contest: Contest = field(init=False)
    candidates: list[Candidate] = field(factory=list)
    links: list[Link] = field(factory=list)
    sockets: int = 0

    def __attrs_post_init__(self) -> None:
        side = ("f" if self.leader else "0") * 16
        relays = () if self.listen else (RELAY,)
        self.contest = Contest(
            self.host,
            None,
            "sender",
            self,
            side=side,
            relays=relays,
            listen=self.listen,
            greet=self.greet,
        )
        self.contest.listen()

    def greet(self, at_relay: bool) -> Handshake:
        self.sockets += 1
        ephemeral = bytes([self.leader, self.sockets]) * 16
        side = ("f" if self.leader else "0") * 16 if at_relay else None
        return NoiseGreeting(KEY, leader=self.leader, ephemeral=ephemeral, relay_side=side)

    def ready(self, candidate: Candidate) -> None:
        self.candidates.append(candidate)
        if self.eager:
            self.choose()

    def choose(self) -> None:
        self.candidates[-1].choose().addCallback(self.links.append)

    def exhausted(self, reason: str) -> None:
        raise AssertionError(reason)

    @property
    def ciphers(self) -> tuple[Cipher, Cipher]:
        handshake = self.links[0].handshake
        assert isinstance(handshake, NoiseGreeting)
        return handshake.ciphers


@pytest.fixture
def world() -> World:
    return World()


def meet(one: Side, two: Side) -> None:
    one.contest.dial(parse(two.contest.hints()))
    two.contest.dial(parse(one.contest.hints()))


def test_a_direct_connection(world: World) -> None:
    """Both dial; they agree on one socket, whose ciphers fit, and no other is left."""
    one, two = Side(world.host("a"), leader=True), Side(world.host("b"), leader=False)
    meet(one, two)
    world.settle()
    assert one.links[0].transport.other is two.links[0].transport
    assert one.links[0].leftover == two.links[0].leftover == b""
    sealed = frame(one.ciphers[0], b"hello")
    assert Frames(two.ciphers[1]).feed(sealed) == [b"hello"]
    assert (one.sockets, two.sockets) == (2, 2)
    assert world.clock.getDelayedCalls() == []


def test_through_a_relay(world: World) -> None:
    """Neither listens."""
    world.listening["relay", 4001] = Relay()
    one = Side(world.host("a"), leader=True, listen=False)
    two = Side(world.host("b"), leader=False, listen=False)
    meet(one, two)
    for _ in range(20):
        world.settle(0.5)
    assert (len(one.links), len(two.links)) == (1, 1)
    sealed = frame(two.ciphers[0], b"hello")
    assert Frames(one.ciphers[1]).feed(sealed) == [b"hello"]


def test_a_leader_that_sends_much_before_the_follower_has_chosen(world: World) -> None:
    """Not all of it is read before; all of it arrives."""
    one = Side(world.host("a"), leader=True)
    two = Side(world.host("b"), leader=False, eager=False)
    one.contest.dial(parse(two.contest.hints()))
    world.settle()
    link = one.links[0]
    for _ in range(12):
        link.transport.write(bytes(PIECE))
    world.settle()
    socket = two.candidates[0]._attempt.transport
    assert not socket.reading and not socket.closed
    two.choose()
    world.settle()
    assert KEPT < len(two.links[0].leftover) <= KEPT + PIECE
    heir = Scripted()
    two.links[0].attach(heir)
    world.settle()
    assert heir.heard == bytes(12 * PIECE)


def test_a_stranger_that_says_nothing_right(world: World) -> None:
    """Its socket is closed, and the contest goes on; another that is silent has a minute."""
    side = Side(world.host("a"), leader=False)
    port = next(port for host, port in world.listening if host == "a")
    strangers: list[Scripted] = []
    for says in (b"GET / HTTP/1.1\r\n\r\n", b"", b"Magic-Wormhole"):
        made = Made(partial(Scripted, says))
        world.host("stranger").connect("a", port, made)
        strangers += made.made
    world.settle()
    assert [each.is_gone for each in strangers] == [True, False, False]
    world.settle(60)
    assert [each.is_gone for each in strangers] == [True, True, True]
    assert side.links == []
