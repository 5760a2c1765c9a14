"""Transit objects between hosts in memory: deadlines, orders of calls, and giving up."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError

import holdfast
from holdfast.transit.keys import TransitKeys
from holdfast.transit.network import through
from tests.transit.memory_network import Host, Made, Scripted, World

KEY = bytes(range(32))
KEYS = TransitKeys(KEY)


@pytest.fixture
def world() -> World:
    return World()


def made(world: World, host: Host, kind: Any = holdfast.TransitSender, **options: Any) -> Any:
    through(world.clock, host)
    return kind(reactor=world.clock, **options)


def outcome(waiting: Any) -> list[Any]:
    found: list[Any] = []
    waiting.addCallbacks(found.append, lambda failure: found.append(failure.value))
    return found


def knock(world: World, says: bytes, port: int = 1000) -> Scripted:
    factory = Made(lambda: Scripted(says))
    world.host("stranger").connect("a", port, factory)
    return factory.made[0]


def test_the_peer_is_early(world: World) -> None:
    """Who proves itself before `connect` waits for it."""
    sender = made(world, world.host("a"))
    sender.set_transit_key(KEY)
    outcome(sender.get_connection_hints())
    peer = knock(world, KEYS.receiver_line)
    world.settle(100)
    assert peer.heard == KEYS.sender_line
    connected = outcome(sender.connect())
    world.settle()
    assert peer.heard == KEYS.sender_line + b"go\n"
    assert isinstance(connected[0], holdfast.Connection)
    assert world.clock.getDelayedCalls() == []


def test_before_there_is_a_key(world: World) -> None:
    """Whoever comes in is turned away, and the port stays open."""
    sender = made(world, world.host("a"))
    outcome(sender.get_connection_hints())
    early = knock(world, KEYS.receiver_line)
    connected = outcome(sender.connect())
    world.settle()
    assert early.is_gone
    assert early.heard == b""
    sender.set_transit_key(KEY)
    knock(world, KEYS.receiver_line)
    world.settle()
    assert len(connected) == 1


def test_two_minutes(world: World) -> None:
    """Then connecting has failed, and nothing is left of it."""
    sender = made(world, world.host("a"))
    sender.set_transit_key(KEY)
    outcome(sender.get_connection_hints())
    failed = outcome(sender.connect())
    world.settle(119)
    assert failed == []
    world.settle(2)
    assert isinstance(failed[0], holdfast.TransitError)
    assert "two minutes" in str(failed[0])
    assert world.listening == {}
    assert world.clock.getDelayedCalls() == []


def test_nobody_there(world: World) -> None:
    """The reason is the last socket's."""
    receiver = made(world, world.host("a"), holdfast.TransitReceiver, no_listen=True)
    receiver.set_transit_key(KEY)
    receiver.add_connection_hints([{"type": "direct-tcp-v1", "hostname": "b", "port": 1}])
    failed = outcome(receiver.connect())
    world.settle()
    assert str(failed[0]) == "No connection to the other side: ->tcp:b:1: refused."


@pytest.mark.parametrize("how", ["cancel", "close"])
def test_giving_up(world: World, how: str) -> None:
    """The program may give up at any time, and what waited fails."""
    sender = made(world, world.host("a"))
    sender.set_transit_key(KEY)
    outcome(sender.get_connection_hints())
    peer = knock(world, b"")
    connecting = sender.connect()
    failed = outcome(connecting)
    world.settle()
    if how == "cancel":
        connecting.cancel()
    else:
        stopped = outcome(sender.close())
    world.settle()
    assert isinstance(failed[0], CancelledError if how == "cancel" else holdfast.TransitError)
    if how == "close":
        assert stopped == [None]
    assert peer.heard == KEYS.sender_line + b"nevermind\n"
    assert world.listening == {}
    assert world.clock.getDelayedCalls() == []


def test_a_choice_that_fails(world: World) -> None:
    """A receiver that is turned down takes the next."""
    receiver = made(world, world.host("a"), holdfast.TransitReceiver)
    receiver.set_transit_key(KEY)
    outcome(receiver.get_connection_hints())
    connected = outcome(receiver.connect())
    first = knock(world, KEYS.sender_line)
    second = knock(world, KEYS.sender_line)
    world.settle()
    first.transport.write(b"nevermind\n")
    world.settle()
    second.transport.write(b"go\n")
    world.settle()
    assert [type(each) for each in connected] == [holdfast.Connection]


def test_hints_that_come_later(world: World) -> None:
    """They are dialled too."""
    receiver = made(world, world.host("a"), holdfast.TransitReceiver)
    receiver.set_transit_key(KEY)
    outcome(receiver.connect())
    for host in ("b", "c", "b"):
        receiver.add_connection_hints([{"type": "direct-tcp-v1", "hostname": host, "port": 1}])
    assert [host for _, host, _ in world.dialled] == ["b", "c"]
