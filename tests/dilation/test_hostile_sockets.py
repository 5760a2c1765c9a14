"""What may come on a socket of a dilated wormhole before its other end has proved itself."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.dilation.frames import LENGTH, frame
from holdfast.dilation.greeting import FOLLOWER, LEADER
from holdfast.dilation.noise import Cipher
from holdfast.dilation.records import Data, Kcm, Open, write
from holdfast.transit.attempt import HANDSHAKE_TIME
from holdfast.transit.contest import MOST_ACCEPTED
from tests.dilation.scripted import Line, Peer
from tests.dilation.world import Made
from tests.harness.reactor import flush_logged_errors

RELAY = 4001


@pytest.fixture(autouse=True)
def _nothing_is_logged() -> Any:
    yield
    assert flush_logged_errors() == []


@pytest.fixture(params=[False, True], ids=["follows", "leads"])
def peer(request: pytest.FixtureRequest) -> Peer:
    """A peer with which ours wants a connection."""
    made = Peer(request.param)
    made.please()
    return made


def test_garbage(peer: Peer) -> None:
    """Whatever it is, that socket is closed; the right one is found all the same."""
    right = LEADER if peer.leads else FOLLOWER
    for garbage in (
        b"\0",
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(100_000),
        right[:-1] + b"x",
        FOLLOWER if peer.leads else LEADER,
        right + LENGTH.pack(2**32 - 1) + bytes(1000),
        right + LENGTH.pack(0),
        right + LENGTH.pack(48) + bytes(48),
        right + LENGTH.pack(48) + b"\xff" * 48,
        right + LENGTH.pack(65_535),
    ):
        line = peer.connect(Line())
        line.transport.write(garbage)
        peer.run(0.1)
        assert line.lost
        assert len(line.raw) < 200
    assert not peer.world.sockets.open
    peer.goes_on(peer.connected())


def test_another_key(peer: Peer) -> None:
    line = peer.connect(Line(peer.greeting(key=b"x" * 32)))
    peer.run(HANDSHAKE_TIME)  # it may have noticed first, and say nothing
    assert line.lost
    assert not line.is_won
    peer.goes_on(peer.connected())


def test_our_own_words_come_back(peer: Peer) -> None:
    line = peer.connect(Echo())
    assert line.lost
    peer.goes_on(peer.connected())


def test_a_handshake_of_an_older_connection(peer: Peer) -> None:
    """All its bytes, the confirmation included: it is of no use without the keys."""
    recorded = peer.connect(Line(peer.greeting()))
    assert recorded.is_won
    said = bytes(recorded.said)
    said += recorded.say(Open(1 if peer.leads else 2, 0, "name"))
    recorded.transport.abortConnection()
    peer.run(1)
    peer.say({"type": "reconnect" if peer.leads else "reconnecting"})
    peer.run()
    for size in (len(said), len(recorded.said), 48 + 52, 48):
        line = peer.connect(Line())
        line.transport.write(said[:size])
        peer.run(HANDSHAKE_TIME)
        assert line.lost
    assert peer.ledger.highest_in == -1
    peer.goes_on(peer.connected())


@pytest.mark.parametrize("dripping", [False, True])
def test_a_handshake_that_never_ends(peer: Peer, dripping: bool) -> None:
    """Not one that stands still at any of its bytes, nor one that goes on byte by byte."""
    said = (LEADER if peer.leads else FOLLOWER) + LENGTH.pack(48)
    lines = [peer.connect(Line()) for _ in range(20)]
    for number, line in enumerate(lines):
        line.transport.write(said[: 2 * number])
    if peer.leads:  # up to its confirmation; that of a follower's makes a socket good
        lines += [peer.connect(Line(peer.greeting(), choose=False)) for _ in range(3)]
    for at in range(int(HANDSHAKE_TIME)):
        if dripping:
            lines[0].transport.write(said[at : at + 1])
        peer.run(1)
    assert all(line.lost for line in lines)
    peer.goes_on(peer.connected())


def test_many_half_open_connections(peer: Peer) -> None:
    """The oldest goes for the newest, and none is waited for."""
    sockets = peer.world.sockets
    for number in range(200):
        line = peer.connect(Line())
        if number % 2:
            line.transport.write(LEADER[:5])
        assert len(sockets.open) <= MOST_ACCEPTED + 1
        sockets.lines = sockets.open
    assert len(peer.world.clock.getDelayedCalls()) < MOST_ACCEPTED + 20
    peer.goes_on(peer.connected())
    assert len(sockets.open) == 1


def test_much_behind_the_confirmation() -> None:
    """A leader sends at once; before we have chosen, no more than that is kept."""
    peer = Peer(leads=True)
    peer.please()
    line = peer.connect(Line(peer.greeting()))
    for _ in range(40):
        line.say(Data(1, peer.next + 1, bytes(60_000)))
    peer.run(1)
    assert line.lost  # a gap
    peer.goes_on(line)


@pytest.mark.parametrize("first", [b"", write(Open(1, 0, "name")), b"\x06" + bytes(4), b"\0\0"])
def test_something_else_instead_of_the_confirmation(peer: Peer, first: bytes) -> None:
    line = peer.connect(Instead(peer.greeting(), first))
    peer.run(1)
    assert line.lost
    assert peer.ledger.highest_in == -1
    peer.goes_on(peer.connected())


def test_two_confirmations(peer: Peer) -> None:
    line = peer.connect(Line(peer.greeting()))
    line.say(Kcm())
    peer.run(1)
    assert line.lost
    peer.goes_on(line)


# Relays.


class Relay(Line):
    """A relay that says `answer` when it was asked."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if self.answer:
            self.transport.write(self.answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"o",
        b"impatient\n",
        b"ok\nok\n",
        b"ok\n" + bytes(100_000),
        b"ok\n" + FOLLOWER,
        b"x" * 9,
    ],
)
def test_a_hostile_relay(answer: bytes) -> None:
    """It can keep us from each other, but not with ever more connections."""
    peer = Peer(leads=False, options={"transit_relay_location": f"tcp:relay.example:{RELAY}"})
    relay = Made(lambda _: Relay(answer))
    peer.world.sockets.ports[RELAY] = relay
    peer.please()
    peer.run(3 * 3600)
    at_relay = [each for each in relay.made if not each.lost]
    assert len(at_relay) <= 1
    assert len(relay.made) < 60
    assert all(each.raw.startswith(b"please relay ") and len(each.raw) < 300 for each in relay.made)
    del peer.world.sockets.ports[RELAY]
    peer.goes_on(peer.connected())


def test_relays_of_the_peer_that_never_answer() -> None:
    """It may name others each time."""
    peer = Peer()
    relay = Made(lambda _: Relay(b""))
    peer.please()
    for number in range(30):
        peer.world.sockets.ports[20_000 + number] = relay
        where = {"type": "direct-tcp-v1", "hostname": "192.0.2.9", "port": 20_000 + number}
        peer.say({"type": "connection-hints", "hints": [{"type": "relay-v1", "hints": [where]}]})
        peer.run(60)
    assert 0 < len(peer.world.sockets.open) <= 3


class Echo(Line):
    """Says what it hears."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


class Instead(Line):
    """Says something else as its first record."""

    def __init__(self, greeting: Any, first: bytes) -> None:
        super().__init__(greeting)
        self.first = first
        self.sealed: Cipher | None = None

    def _carry_out(self, effects: Any) -> None:
        changed = []
        for effect in effects:
            data = getattr(effect, "data", b"")
            if data.startswith(LENGTH.pack(17)):
                continue
            changed.append(effect)
        super()._carry_out(changed)
        state = self.greeting.state if self.greeting is not None else ""
        if state in ("confirming", "won") and self.sealed is None:
            self.sealed = self._ciphers[0]
            self.transport.write(frame(self.sealed, self.first))
