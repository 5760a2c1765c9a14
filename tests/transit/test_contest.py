"""The contest for one connection, between hosts in memory."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define, field

from holdfast.transit.attempt import AFTER_OK
from holdfast.transit.connection import Connection
from holdfast.transit.contest import MOST_ACCEPTED, Candidate, Contest, Link
from holdfast.transit.dialling import MOST_DIRECT, MOST_RELAYS
from holdfast.transit.errors import TransitError
from holdfast.transit.hints import DirectHint, Hint, RelayHint, parse
from holdfast.transit.keys import Role, TransitKeys
from holdfast.transit.records import Sealer
from tests.transit.memory_network import Host, Made, Relay, Scripted, World

KEYS = TransitKeys(bytes(range(32)))
SENDER, RECEIVER = KEYS.sender_line, KEYS.receiver_line
RELAY = DirectHint("relay", 4001)


@define(eq=False)
class Side:
    """One side: its contest, and what it was told."""

    host: Host
    role: Role
    listen: bool = True
    relays: tuple[DirectHint, ...] = ()
    eager: bool = True
    """Whether it chooses at once."""
    contest: Contest = field(init=False)
    candidates: list[Candidate] = field(factory=list)
    links: list[Link] = field(factory=list)
    errors: list[str] = field(factory=list)
    exhaustions: list[str] = field(factory=list)
    port: int | None = None

    def __attrs_post_init__(self) -> None:
        self.contest = Contest(
            self.host,
            KEYS,
            self.role,
            self,
            side=("a" if self.role == "sender" else "b") * 16,
            relays=self.relays,
            listen=self.listen,
        )
        self.contest.listen().addCallback(lambda port: setattr(self, "port", port))

    def ready(self, candidate: Candidate) -> None:
        self.candidates.append(candidate)
        if self.eager:
            self.choose()

    def choose(self) -> None:
        choosing = self.candidates[-1].choose()
        choosing.addCallbacks(self.links.append, lambda failure: self.failed(failure.value))

    def failed(self, error: Exception) -> None:
        assert isinstance(error, TransitError)
        self.errors.append(str(error))

    def exhausted(self, reason: str) -> None:
        self.exhaustions.append(reason)

    @property
    def hints(self) -> tuple[Hint, ...]:
        return parse(self.contest.hints())


@pytest.fixture
def world() -> World:
    return World()


def stub(world: World, host: str, says: bytes = b"", port: int = 80) -> Made:
    """Another program on a host."""
    made = Made(lambda: Scripted(says))
    world.listening[host, port] = made
    return made


def hint(host: str, port: int = 80, priority: float = 0.0) -> DirectHint:
    return DirectHint(host, port, priority)


def knock(world: World, side: Side, says: bytes = b"") -> Scripted:
    """Another program connects to `side`."""
    made = Made(lambda: Scripted(says))
    world.host("stranger").connect(side.host.names[0], side.port or 0, made)
    return made.made[0]


def test_a_direct_connection(world: World) -> None:
    """Both sides listen and dial; they agree on one socket, and no other is left."""
    one = Side(world.host("a", "a6"), "sender")
    two = Side(world.host("b"), "receiver")
    one.contest.dial(two.hints)
    two.contest.dial(one.hints)
    world.settle()
    assert len(one.links) == len(two.links) == 1
    assert one.links[0].transport.other is two.links[0].transport
    assert one.links[0].leftover == two.links[0].leftover == b""
    assert world.listening == {}
    assert world.clock.getDelayedCalls() == []


def test_the_hints(world: World) -> None:
    """Every address of the host with the port, and our relays."""
    side = Side(world.host("192.0.2.1", "2001:db8::1"), "sender", relays=(RELAY,))
    assert side.hints == (
        DirectHint("192.0.2.1", 1000),
        DirectHint("2001:db8::1", 1000),
        RelayHint((RELAY,)),
    )


def test_losers(world: World) -> None:
    """The sender says `go` to one, and `nevermind` to all others before it closes them."""
    side = Side(world.host("a"), "sender", eager=False)
    ours = [knock(world, side, RECEIVER) for _ in range(3)]
    slow = knock(world, side)
    world.settle()
    assert len(side.candidates) == 1, "one at a time"
    side.choose()
    world.settle()
    assert [each.heard for each in ours] == [
        SENDER + end for end in (b"go\n", b"nevermind\n", b"nevermind\n")
    ]
    assert slow.heard == SENDER + b"nevermind\n"
    assert [each.is_gone for each in (*ours, slow)] == [False, True, True, True]


def test_a_sender_answers_before_it_dials(world: World) -> None:
    """Whoever comes in sees its line at once, because some receivers wait for all their sockets."""
    side = Side(world.host("a"), "sender")
    assert knock(world, side).says == b""
    stranger = knock(world, side)
    world.settle()
    assert stranger.heard == SENDER


def test_a_receiver_is_silent_until_it_chooses(world: World) -> None:
    """Its line is the point of no return."""
    side = Side(world.host("b"), "receiver", eager=False)
    incoming = knock(world, side, SENDER)
    world.settle(3600)
    assert incoming.heard == b""
    side.choose()
    world.settle()
    assert incoming.heard == RECEIVER
    assert side.links == []
    incoming.transport.write(b"go\nand")
    incoming.transport.write(b" more")
    world.settle()
    assert [each.leftover for each in side.links] == [b"and"]
    heir = Scripted()
    side.links[0].attach(heir)
    world.settle()
    assert heir.heard == b"and more"


def test_what_nobody_takes(world: World) -> None:
    """Records that come with the choice stop the reading too, until somebody takes them."""
    side = Side(world.host("b"), "receiver")
    incoming = knock(world, side, SENDER)
    world.settle()
    sealer = Sealer(KEYS.record_key("sender"))
    records = [sealer.seal(b"%d" % each) for each in range(100)]
    incoming.transport.write(b"go\n" + records[0] + records[1])
    world.settle()
    connection = Connection("", KEYS.record_key("receiver"), KEYS.record_key("sender"))
    side.links[0].attach(connection)
    for each in records[2:]:
        incoming.transport.write(each)
    world.settle()
    line = side.links[0].transport
    assert not line.reading
    assert len(line.kept) == 98
    got: list[bytes] = []
    for _ in records:
        connection.receive_record().addCallback(got.append)
    world.settle()
    assert got == [b"%d" % each for each in range(100)]
    assert line.reading


@pytest.mark.parametrize("says", [b"nevermind\n", None, b"x"], ids=["nevermind", "close", "else"])
def test_the_next_one(world: World, says: bytes | None) -> None:
    """If the sender chose another socket, or this one breaks, another gets its chance."""
    side = Side(world.host("b"), "receiver")
    first, second = knock(world, side, SENDER), knock(world, side, SENDER)
    world.settle()
    assert (first.heard, second.heard) == (RECEIVER, b"")
    if says is None:
        first.transport.loseConnection()
    else:
        first.transport.write(says)
    world.settle()
    assert len(side.errors) == 1
    assert first.is_gone
    assert second.heard == RECEIVER
    second.transport.write(b"go\n")
    world.settle()
    assert len(side.links) == 1


def test_a_candidate_that_is_gone(world: World) -> None:
    """To choose it is an error, and the next one is offered."""
    side = Side(world.host("b"), "receiver", eager=False)
    first, second = knock(world, side, SENDER), knock(world, side, SENDER)
    world.settle()
    first.transport.loseConnection()
    world.settle()
    assert len(side.candidates) == 2
    side.candidates[0].choose().addErrback(lambda failure: side.failed(failure.value))
    assert side.errors == [
        "The connection <-tcp:stranger:50000 was lost: the other side closed the connection."
    ]
    side.candidates[1].reject()
    world.settle()
    assert second.is_gone


def test_choosing_is_given_up(world: World) -> None:
    """The socket is closed, and the contest goes on."""
    side = Side(world.host("b"), "receiver", eager=False)
    first, second = knock(world, side, SENDER), knock(world, side, SENDER)
    world.settle()
    choosing = side.candidates[0].choose()
    choosing.addErrback(lambda failure: side.failed(failure.value))
    with pytest.raises(RuntimeError, match="once"):
        side.candidates[0].choose()
    choosing.cancel()
    world.settle()
    assert first.is_gone
    assert len(side.errors) == 1
    assert len(side.candidates) == 2
    assert not second.is_gone


def test_silence(world: World) -> None:
    """A socket has a minute: to open, to prove itself, and to answer the choice."""
    world.silent.add("nobody")
    stub(world, "mute")
    side = Side(world.host("b"), "receiver", listen=False)
    side.contest.dial([hint("nobody"), hint("mute")])
    world.settle(59)
    assert side.exhaustions == []
    world.settle(2)
    assert side.exhaustions == ["->tcp:mute:80: the other side was silent"]

    other = Side(world.host("c"), "receiver")
    incoming = knock(world, other, SENDER)
    world.settle(3600)
    assert incoming.heard == RECEIVER
    assert len(other.errors) == 1
    assert incoming.is_gone


def test_something_else_listens(world: World) -> None:
    """It gets nothing but the first line, and is left at its first byte."""
    web = stub(world, "web", b"HTTP")
    side = Side(world.host("a"), "sender", listen=False)
    side.contest.dial([hint("web")])
    world.settle()
    assert web.made[0].heard == SENDER
    assert web.made[0].is_gone
    assert side.exhaustions == ["->tcp:web:80: something else answered"]


@pytest.mark.parametrize("role", ["sender", "receiver"])
def test_hints_that_lead_to_ourselves(world: World, role: Role) -> None:
    """We do not take ourselves for the other side, nor wait for ourselves for ever."""
    side = Side(world.host("a"), role)
    side.contest.dial(side.hints)
    world.settle(60)
    world.settle()
    assert side.candidates == []
    assert world.clock.getDelayedCalls() == []
    knock(world, side, RECEIVER if role == "sender" else SENDER)
    world.settle()
    assert len(side.candidates) == 1, "others may still come"


def test_nothing_to_dial(world: World) -> None:
    """It is said, but not from inside the call."""
    side = Side(world.host("a"), "sender", listen=False)
    side.contest.dial([])
    assert side.exhaustions == []
    world.settle()
    assert side.exhaustions == ["there is no address to connect to"]
    side.contest.dial([hint("nowhere")])
    world.settle(100)
    assert side.exhaustions[1:] == ["->tcp:nowhere:80: refused"]


def test_a_listener_waits(world: World) -> None:
    """While somebody may come in, nothing is exhausted."""
    side = Side(world.host("a"), "sender")
    side.contest.dial([hint("nowhere")])
    world.settle(10_000)
    assert side.exhaustions == []


def test_bounds(world: World) -> None:
    """Each address is dialled once, and not more than some of them."""
    side = Side(world.host("a"), "sender", listen=False, relays=(RELAY,))
    many: list[Hint] = [hint("192.0.2.7", port) for port in range(1, 10_000)]
    relays = [RelayHint((hint("r", port), RELAY)) for port in range(1, 1000)]
    for _ in range(3):
        side.contest.dial([*many, *many, *relays])
    world.settle(10)
    assert len(world.dialled) == len(set(world.dialled)) == MOST_DIRECT + MOST_RELAYS + 1


def test_relays_come_later(world: World) -> None:
    """Two seconds after direct connections, and two more for each lower priority."""
    side = Side(world.host("a"), "sender", relays=(hint("r1", 1, 2.0),))
    side.contest.dial([hint("x"), RelayHint((hint("r3", 3), hint("r2", 2, 2.0)))])
    world.settle()
    for _ in range(50):
        world.settle(0.1)
    assert [(round(when), host) for when, host, _ in world.dialled] == [
        *((0, "x"), (2, "r1"), (2, "r2"), (4, "r3"))
    ]


def test_a_relay_at_once(world: World) -> None:
    """There is nothing else to wait for."""
    side = Side(world.host("a"), "sender", relays=(RELAY,))
    side.contest.dial([])
    assert world.dialled == [(0.0, "relay", 4001)]


def test_through_a_relay(world: World) -> None:
    """A side waits there as long as it takes; a receiver lets a moment pass after the `ok`."""
    world.listening["relay", 4001] = Relay()
    one = Side(world.host("a"), "sender", listen=False, relays=(RELAY,))
    one.contest.dial([])
    world.settle(100_000)
    two = Side(world.host("b"), "receiver", listen=False)
    two.contest.dial(one.hints)
    world.settle()
    assert (one.candidates, len(two.candidates)) == ([], 1)
    world.settle(AFTER_OK / 2)
    assert one.candidates == []
    world.settle(AFTER_OK)
    world.settle(AFTER_OK)
    assert [each.describe for each in (*one.links, *two.links)] == ["->relay:tcp:relay:4001"] * 2
    assert world.clock.getDelayedCalls() == []


def test_a_relay_refuses(world: World) -> None:
    """It says why in its own words, which are not repeated."""
    for answer in (b"bad handshake\n", b"impatient\n", b"\0" * 2000):
        stub(world, "relay", answer, 4001)
        side = Side(world.host("a"), "sender", listen=False, relays=(RELAY,))
        side.contest.dial([])
        world.settle()
        assert side.exhaustions == ["->relay:tcp:relay:4001: the relay refused"]


def test_many_come_in(world: World) -> None:
    """The oldest that has not proved itself goes."""
    side = Side(world.host("a"), "sender", eager=False)
    proved = knock(world, side, RECEIVER)
    world.settle()
    strangers = [knock(world, side) for _ in range(MOST_ACCEPTED + 2)]
    world.settle()
    assert not proved.is_gone
    assert [each.is_gone for each in strangers] == [True] * 2 + [False] * MOST_ACCEPTED


def test_nobody_may_come_in(world: World) -> None:
    """We are told not to listen, or everything goes through Tor: only relays are said."""
    for side in (
        Side(world.host("a"), "sender", listen=False, relays=(RELAY,)),
        Side(world.host("a", through_tor=True), "sender", relays=(RELAY,)),
    ):
        assert side.port is None
        assert side.hints == (RelayHint((RELAY,)),)
    assert world.listening == {}


def test_what_only_tor_reaches(world: World) -> None:
    """Without Tor it is not even looked up."""
    onions = [DirectHint("x.onion", 80), DirectHint("y", 80, tor=True)]
    plain = Side(world.host("a"), "sender", listen=False)
    plain.contest.dial(onions)
    assert world.dialled == []
    through = Side(world.host("a", through_tor=True), "sender")
    through.contest.dial(onions)
    assert [host for _, host, _ in world.dialled] == ["x.onion", "y"]
    world.settle()
    assert through.exhaustions[0].startswith("tor->tcp:")


def test_what_tor_does_not_reach(world: World) -> None:
    """Private addresses are skipped, and the relay need not wait for them."""
    private = ["192.168.1.1", "10.0.0.1", "127.0.0.1", "::1", "fd00::1", "localhost", "0.0.0.0"]
    side = Side(world.host("a", through_tor=True), "sender", relays=(RELAY,))
    side.contest.dial([hint(host) for host in private])
    assert world.dialled == [(0.0, "relay", 4001)]
    side.contest.dial([hint("8.8.8.8")])
    assert world.dialled[1:] == [(0.0, "8.8.8.8", 80)]


def test_the_port(world: World) -> None:
    """It is the one that was asked for; if another program has it, nobody comes in."""
    side = Side(world.host("a"), "sender", listen=False)
    assert side.port is None
    for expected in (7, None):
        contest = Contest(world.host("a"), KEYS, "sender", side, side="a" * 16)
        found: list[Any] = []
        contest.listen(7).addCallback(found.append)
        assert found == [expected]


def test_stopping(world: World) -> None:
    """Nothing is left, in whatever state it was; later calls do nothing."""
    world.silent.add("nobody")
    world.listening["relay", 4001] = Relay()
    side = Side(world.host("a"), "sender", relays=(RELAY, hint("late", 1, -1.0)), eager=False)
    here = [knock(world, side), knock(world, side, RECEIVER)]
    side.contest.dial([hint("nobody")])
    world.settle(2)
    stopped: list[None] = []
    side.contest.stop().addCallback(stopped.append)
    assert stopped == []
    world.settle()
    assert stopped == [None]
    assert [each.heard for each in here] == [SENDER + b"nevermind\n"] * 2
    assert world.listening == {("relay", 4001): world.listening["relay", 4001]}
    side.contest.dial([hint("x")])
    assert world.clock.getDelayedCalls() == []
    assert ("x", 80) not in [place[1:] for place in world.dialled]
    assert side.exhaustions == []


def test_a_winner_is_not_stopped(world: World) -> None:
    """The Link belongs to whom it was given."""
    side = Side(world.host("a"), "sender")
    winner = knock(world, side, RECEIVER)
    world.settle()
    side.contest.stop()
    world.settle(1000)
    assert not winner.is_gone
    side.links[0].close()
    world.settle()
    assert winner.is_gone


def test_neither_keys_nor_a_handshake(world: World) -> None:
    """There would be nothing to say."""
    with pytest.raises(ValueError, match="keys"):
        Contest(world.host("a"), None, "sender", Side(world.host("a"), "sender"), side="a" * 16)
