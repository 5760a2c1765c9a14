"""What a peer that has the key may say in the phases `dilate-N`: anything, at any time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.dilation.document import load
from holdfast.transit.dialling import MOST_DIRECT, MOST_NAMES, MOST_RELAYS
from holdfast.transit.hints import MOST
from tests.dilation.scripted import Line, Peer
from tests.harness.reactor import flush_logged_errors


@pytest.fixture(autouse=True)
def _nothing_is_logged() -> Any:
    yield
    assert flush_logged_errors() == []


def direct(number: int, **changes: Any) -> dict[str, Any]:
    host = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    return {"type": "direct-tcp-v1", "hostname": host, "port": 4001, "priority": 0.0} | changes


def hints(*told: Any) -> dict[str, Any]:
    return {"type": "connection-hints", "hints": [*told]}


PLEASE = {"type": "please", "side": "0" * 16, "use-version": "ged"}

SAID: list[Any] = [
    b"",
    b"\xff\xfe",
    b"null",
    b"[" * 100_000,
    b'{"type": ' + b"9" * 10_000 + b"}",
    b'{"type": "please", "side": "\\ud800"}',
    {},
    {"type": None},
    {"type": ["please"]},
    {"type": "please"},
    {"type": "please", "side": 7},
    {"type": "please", "side": ""},
    {"type": "please", "side": "x" * 65, "use-version": "ged"},
    {"type": "good-bye"},
    hints(),
    {"type": "connection-hints"},
    {"type": "connection-hints", "hints": {"type": "direct-tcp-v1"}},
    hints(None, [], 3, "x", {"type": "direct-tcp-v1"}, {"type": ["x"]}, {"type": "relay-v1"}),
    hints(*(direct(1, port=port) for port in (0, -1, 65_536, 1e300, True, None, "x", "9" * 50))),
    hints(
        *(direct(1, hostname=host) for host in ("", "\n", "x" * 300, "\ud800", "::1%1", 7, None))
    ),
    hints(*(direct(1, priority=priority) for priority in ("high", None, [], 10**400))),
    hints({"type": "relay-v1", "hints": [{"type": "relay-v1", "hints": [None]}, None]}),
    {"type": "reconnecting"},
]


def unmet(peer: Peer) -> None:
    """Nothing."""


def connecting(peer: Peer) -> None:
    peer.please()


def connected(peer: Peer) -> None:
    peer.connected()


def flushing(peer: Peer) -> None:
    """A leader has said `reconnect`, or a follower waits for it."""
    peer.connected().transport.abortConnection()
    peer.run(1)


STATES = [unmet, connecting, connected, flushing]


@pytest.mark.parametrize("leads", [False, True], ids=["follows", "leads"])
@pytest.mark.parametrize("state", STATES)
def test_whatever_it_says_whenever_it_says_it(leads: bool, state: Callable[[Peer], None]) -> None:
    peer = Peer(leads)
    state(peer)
    before = peer.inner._manager.state
    for said in SAID:
        if said == {"type": "reconnecting"} and state is flushing:
            continue
        peer.say(said)
        peer.run()
        assert load(json.loads(json.dumps(peer.inner.save())))
    assert peer.inner._manager.state == before
    assert peer.said("please") == 1
    peer.messages_go_on()
    if state is flushing:
        peer.say({"type": "reconnect" if leads else "reconnecting"})
        peer.run()
    if state is not connected:
        peer.goes_on(peer.connected())


@pytest.mark.parametrize("leads", [False, True], ids=["follows", "leads"])
def test_a_peer_that_begins_anew_is_refused(leads: bool) -> None:
    """Its numbers cannot be right any more. Messages go on, and nothing is left open."""
    peer = Peer(leads)
    line = peer.connected()
    channel = peer.opened(line)
    for side in ("1" * 16, "2" * 16, peer.side):
        peer.say({**PLEASE, "side": side})
        peer.say({"type": "reconnect"})
        peer.say(hints(direct(1)))
    peer.run(1)
    assert line.lost
    assert channel
    assert peer.listening.made[0].told[-1] == "PeerGoneError"
    assert not peer.world.sockets.ports
    assert not peer.world.sockets.open
    peer.messages_go_on()


def test_our_own_please() -> None:
    """It is no peer that says what we have said."""
    peer = Peer()
    [please] = peer.heard
    peer.say(please)
    peer.run()
    assert peer.inner._manager.state == "refused"
    peer.messages_go_on()


@pytest.mark.parametrize("leads", [False, True], ids=["follows", "leads"])
def test_ten_thousand_addresses(leads: bool) -> None:
    """Some of them are dialled; no more are kept, however they are told."""
    peer = Peer(leads)
    peer.please()
    every = [direct(number) for number in range(10_000)]
    relays = [{"type": "relay-v1", "hints": [each]} for each in every]
    peer.say(hints(*every))
    for at in range(0, 10_000, 250):
        peer.say(hints(*every[at : at + 100], *relays[at + 100 : at + 150]))
    peer.run()
    assert len(peer.world.sockets.dialled) <= MOST_DIRECT
    assert len(peer.inner._connecting._hints) <= MOST
    assert len(peer.inner._manager.data.dialled) <= MOST
    assert len(peer.inner._reporting._status.hints) <= MOST
    assert len(peer.world.clock.getDelayedCalls()) < 20
    peer.run(5)
    assert len(peer.world.sockets.dialled) <= MOST_DIRECT + MOST_RELAYS
    peer.goes_on(peer.connected())


def test_names() -> None:
    """A lookup takes a thread, of which the process has few."""
    peer = Peer()
    peer.please()
    peer.say(hints(*(direct(1, hostname=f"slow{number}.example") for number in range(50))))
    peer.run()
    assert len(peer.world.sockets.dialled) == MOST_NAMES
    peer.goes_on(peer.connected())


@pytest.mark.parametrize("leads", [False, True], ids=["follows", "leads"])
def test_hints_at_ourselves(leads: bool) -> None:
    """We connect to ourselves, and it comes to nothing."""
    peer = Peer(leads)
    peer.please()
    [port] = peer.world.sockets.ports
    mine = direct(1, hostname="192.0.2.1", port=port)
    peer.say(hints(mine, {"type": "relay-v1", "hints": [mine]}))
    peer.run(5)
    assert peer.world.sockets.dialled == [("192.0.2.1", port)] * 2
    assert not peer.world.sockets.open
    peer.goes_on(peer.connected())


def test_a_leader_that_says_reconnect_over_and_over() -> None:
    """Each is answered, for that is the protocol; nothing piles up."""
    peer = Peer(leads=True)
    line = peer.connected()
    for _ in range(100):
        peer.say({"type": "reconnect"})
    peer.run()
    assert peer.said("reconnecting") == 100
    assert line.lost
    assert len(peer.world.sockets.ports) == 1
    peer.say({"type": "reconnect"})
    peer.run()
    outbox = peer.happening.exchange.outbox.data
    assert len(outbox.dilations) < 10
    assert len(peer.world.clock.getDelayedCalls()) < 20
    peer.goes_on(peer.connected())


def test_a_leader_that_says_it_before_each_connection_is_there() -> None:
    """Connections of an older generation are dropped."""
    peer = Peer(leads=True)
    peer.please()
    lines = []
    for _ in range(5):
        lines.append(peer.connect(Line(peer.greeting(), choose=False)))
        peer.say({"type": "reconnect"})
        peer.run()
    assert all(line.lost for line in lines)
    peer.goes_on(peer.connected())
