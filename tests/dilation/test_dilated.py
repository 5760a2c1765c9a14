"""`dilate` and what it returns: both APIs, the end, and peers that cannot or do not."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import inlineCallbacks
from twisted.internet.interfaces import IListeningPort, IStreamClientEndpoint, IStreamServerEndpoint
from zope.interface.verify import verifyObject

import holdfast
from holdfast import status
from tests.api.world import CODE, Delegate
from tests.dilation.world import Made, World
from tests.harness.reactor import flush_logged_errors


def test_the_endpoints_of_the_first_api() -> None:
    """`w.dilate()` is as good as a Deferred of three endpoints."""
    world = World()
    a, b = world.create(), world.create()
    fired: list[Any] = []
    d = a.dilate()
    d.addCallback(fired.append)
    e = b.dilate()
    assert not fired
    a.set_code(CODE)
    b.set_code(CODE)
    world.run(5)
    [(control, client, server)] = fired
    for interface, endpoint in (
        (IStreamClientEndpoint, control),
        (IStreamClientEndpoint, client),
        (IStreamServerEndpoint, server),
    ):
        assert verifyObject(interface, endpoint)

    async def awaited() -> Any:
        return await e

    @inlineCallbacks
    def yielded() -> Any:
        one, two, three = yield e
        return one, two, three

    from twisted.internet.defer import Deferred

    triple = world.result(Deferred.fromCoroutine(awaited()))
    assert triple == world.result(yielded()) == tuple(e)
    # The control channel is symmetric.
    ours = control.connect(Made())
    theirs = triple[0].connect(Made())
    world.run(1)
    one, other = world.result(ours), world.result(theirs)
    one.transport.write(b"to you")
    other.transport.write(b"to you too")
    world.run(1)
    assert one.data == [b"to you too"]
    assert other.data == [b"to you"]
    for endpoint in (control, triple[0]):
        with pytest.raises(holdfast.EndpointUsedError):
            world.result(endpoint.connect(Made()))
    # The client's endpoint serves any number of times, the server's once.
    listening = Made()
    port = world.result(triple[2].listen(listening))
    assert verifyObject(IListeningPort, port)
    with pytest.raises(ValueError, match="listens"):
        world.result(triple[2].listen(Made()))
    for _ in range(3):
        world.result(client.connect(Made()))
    world.run(1)
    assert len(listening.made) == 3


def test_names() -> None:
    world = World()
    _, _, x, _ = world.dilated()
    for wrong in ("", "x" * 1025):
        with pytest.raises(ValueError, match="1 to 256"):
            x.listener_for(wrong)
    with pytest.raises(TypeError):
        x.connector_for(b"bytes")
    factory = Made()
    port = world.result(x.listener_for("name").listen(factory))
    port.startListening()
    assert port.getHost() is not None
    assert factory.numPorts == 1
    port.stopListening()
    assert factory.numPorts == 0
    world.result(x.listener_for("name").listen(Made()))


def test_endpoints_wait_for_the_peer() -> None:
    """Before the peer has dilated there is nothing to connect to."""
    world = World()
    a, b = world.create(dilation=True), world.create(dilation=True)
    x = a.dilate()
    waiting = x.connector_for("early").connect(Made())
    a.set_code(CODE)
    b.set_code(CODE)
    world.run(5)
    assert not waiting.called
    y = b.dilate()
    listening = Made()
    world.result(y.listener_for("early").listen(listening))
    world.run(5)
    world.result(waiting).transport.write(b"at last")
    world.run(1)
    assert listening.made[0].data == [b"at last"]


def test_a_peer_that_cannot() -> None:
    """Everything that waits fails, and messages go on."""
    world = World()
    delegate = Delegate()
    a, b = world.create(delegate=delegate), world.create(dilation=False)
    x = a.dilate()
    waiting = [x.when_dilated(), x.connector_for("name").connect(Made())]
    x.addErrback(lambda failure: delegate.told.append(("failed", failure.value)))
    a.set_code(CODE)
    b.set_code(CODE)
    world.run(5)
    for each in waiting:
        with pytest.raises(holdfast.OldPeerCannotDilateError):
            world.result(each)
    assert isinstance(delegate.got("cannot_dilate"), holdfast.OldPeerCannotDilateError)
    assert isinstance(delegate.got("failed"), holdfast.OldPeerCannotDilateError)
    a.send_message(b"still")
    assert world.result(b.get_message(), 1) == b"still"


def test_a_delegate_is_told_once() -> None:
    world = World()
    delegate = Delegate()
    a, b = world.create(delegate=delegate), world.create()
    a.dilate()
    b.dilate()
    a.set_code(CODE)
    b.set_code(CODE)
    world.run(5)
    dilated = delegate.got("dilated")
    world.sockets.cut()
    world.run(5)
    assert delegate.got("dilated") is dilated
    assert not dilated.resumed


def test_closing_closes_every_subchannel() -> None:
    """The protocols of both sides are told, and the peer has everything that was written."""
    world = World()
    a, b, x, y = world.dilated()
    listening = Made()
    world.result(y.listener_for("name").listen(listening))
    ours = world.result(x.connector_for("name").connect(Made()))
    ours.transport.write(b"last words")
    closing = a.close()
    assert world.result(closing, 1) == "happy"
    assert ours.told == ["made", "ConnectionDone"]
    assert listening.made[0].told == ["made", b"last words", "ConnectionDone"]
    assert not world.sockets.open
    with pytest.raises(holdfast.WormholeClosed):
        world.result(x.when_dilated())
    assert world.result(b.close(), 20) == "happy"
    assert not world.sockets.ports


def test_closing_does_not_wait_for_ever() -> None:
    """Ten seconds, if the peer acknowledges nothing."""
    world = World()
    a, _, x, _ = world.dilated()
    ours = world.result(x.connector_for("name").connect(Made()))
    world.sockets.refuses = True
    world.sockets.cut()
    ours.transport.write(b"nobody hears")
    closing = a.close()
    world.run(9)
    assert not closing.called
    assert world.result(closing, 2) == "happy"
    assert ours.told == ["made", "ConnectionDone"]


def test_what_is_opened_while_we_close() -> None:
    """Neither side's new subchannels come to anything, and both are told."""
    world = World()
    a, _, x, y = world.dilated()
    world.result(x.listener_for("name").listen(Made()))
    world.result(y.listener_for("long").listen(Made()))
    world.result(x.connector_for("long").connect(Made())).transport.write(bytes(5_000_000))
    closing = a.close()
    waiting = [each.connector_for("name").connect(Made()) for each in (x, y)]
    with pytest.raises(holdfast.WormholeClosed):
        world.result(waiting[0])
    theirs = world.result(waiting[1])
    world.run(1)
    assert theirs.told == ["made", "ConnectionDone"]
    assert world.result(closing, 1) == "happy"


def test_a_peer_that_stays_away_is_given_up() -> None:
    world = World()
    a, _, x, _ = world.dilated(peer_timeout=60)
    ours = world.result(x.connector_for("name").connect(Made()))
    world.sockets.refuses = True
    world.sockets.cut()
    world.run(59)
    assert ours.told == ["made"]
    world.run(2)
    assert ours.told == ["made", "PeerGoneError"]
    with pytest.raises(holdfast.PeerGoneError):
        world.result(x.when_dilated())
    assert world.result(a.close(), 20) == "happy"


def test_what_is_listened_for_when_the_peer_is_gone() -> None:
    """A protocol is made for what had come, and is told of the end."""
    world = World()
    _, _, x, y = world.dilated(peer_timeout=60)
    theirs = world.result(y.connector_for("name").connect(Made()))
    theirs.transport.write(b"before")
    world.run(1)
    world.sockets.refuses = True
    world.sockets.cut()
    world.run(70)
    listening = Made()
    world.result(x.listener_for("name").listen(listening))
    world.run(1)
    assert listening.made[0].told == ["made", "PeerGoneError"]


def test_a_peer_that_comes_back_is_not_given_up() -> None:
    world = World()
    _, _, x, y = world.dilated(peer_timeout=60)
    listening = Made()
    world.result(y.listener_for("name").listen(listening))
    ours = world.result(x.connector_for("name").connect(Made()))
    for _ in range(4):
        world.sockets.refuses = True
        world.sockets.cut()
        world.run(30)
        world.sockets.refuses = False
        world.run(60)
    ours.transport.write(b"here")
    world.run(1)
    assert listening.made[0].data == [b"here"]


def test_hints_are_told_again_and_again_but_ever_less_often() -> None:
    world = World()
    _, _, _x, _y = world.dilated()
    world.sockets.refuses = True
    world.sockets.cut()
    world.run(1)
    before = len(world.sockets.dialled)
    said = len(world.network.frames)
    world.run(3600)
    assert len(world.sockets.dialled) > before + 10
    assert len([f for f in world.network.frames[said:] if f["type"] == "add"]) < 40


def test_status_updates() -> None:
    world = World()
    told: list[Any] = []
    world.dilated(on_status_update=told.append)
    world.sockets.cut()
    world.run(1)
    kinds = [type(each.peer_connection) for each in told]
    assert list(dict.fromkeys(kinds)) == [
        status.ConnectingPeer,
        status.ConnectedPeer,
        status.ReconnectingPeer,
    ]
    assert kinds[-1] is status.ConnectedPeer
    last = told[-1]
    assert last.generation == 2
    assert isinstance(last.mailbox, status.Status)
    assert "tcp:192.0.2.1" in last.peer_connection.hint_description
    assert all(hint.is_direct for hint in last.hints)
    assert any(each.hints for each in told)


def test_an_application_that_fails_at_the_news() -> None:
    """That is logged, and changes nothing."""
    world = World()

    def fail(_: object) -> None:
        raise ZeroDivisionError

    _, _, x, _ = world.dilated(on_status_update=fail)
    assert x.on_status_update is fail
    assert flush_logged_errors(ZeroDivisionError)


def test_messages_that_make_no_sense_are_ignored() -> None:
    world = World()
    a, b, _, _ = world.dilated()
    inner = b._inner._happening
    for body in (b"", b"[]", b'{"type": "unheard of"}', b'{"type": "reconnecting"}'):
        inner.within(lambda body=body: inner.dilation.say(body))
    world.run(5)
    assert len(world.sockets.open) == 1
    assert world.result(a.close(), 5) == "happy"


def test_silence_is_noticed_by_the_leader() -> None:
    """Two intervals without a sign of life; traffic of any kind is one."""
    world = World()
    _, _, x, y = world.dilated(ping_interval=30)
    listening = Made()
    world.result(y.listener_for("name").listen(listening))
    ours = world.result(x.connector_for("name").connect(Made()))
    world.run(300)
    assert len(world.sockets.lines) == 1 or len(world.sockets.open) == 1
    there = len(world.sockets.lines)
    world.sockets.silence()
    ours.transport.write(b"into the dark")
    world.run(50)
    assert len(world.sockets.lines) == there
    world.run(60)
    assert len(world.sockets.lines) > there
    assert listening.made[0].data == [b"into the dark"]


def test_behind_tor_nothing_of_us_is_told() -> None:
    """Nobody can come in, no address is said, and only the relay is dialled."""
    world = World()
    world.sockets.hides = True
    a, b = world.create(), world.create()
    x = a.dilate("tcp:relay.example:4001")
    y = b.dilate("tcp:relay.example:4001")
    a.set_code(CODE)
    b.set_code(CODE)
    world.run(30)
    assert not world.sockets.ports
    assert set(world.sockets.dialled) == {("relay.example", 4001)}
    for each in (a, b):
        assert world.result(each.close(), 20) == "happy"
    for dilated in (x, y):
        with pytest.raises(holdfast.WormholeClosed):
            world.result(dilated.when_dilated())
