"""Hostile peers on real sockets, whose buffers and ends are those of the system and of Twisted."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import define, field
from twisted.internet import reactor as real
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

import holdfast
from holdfast.core import events as ev
from holdfast.crypto import derive
from holdfast.dilation import closing, link
from holdfast.dilation.frames import LENGTH, Frames, frame
from holdfast.dilation.greeting import LEADER, NoiseGreeting
from holdfast.dilation.records import Data, Open, Record, read, write
from holdfast.shell.dilating import PURPOSE
from holdfast.testing import MailboxServer
from holdfast.testing.network import URL, Network
from holdfast.transit.contest import MOST_ACCEPTED
from holdfast.transit.handshake import Ready, Send, Won
from tests.api.world import APPID, CODE
from tests.dilation.world import Made
from tests.harness import reactor

SIDE = "f" * 16


class Reactor:
    """Twisted's, under another name: what connects through memory here does so only here."""

    def __getattr__(self, name: str) -> Any:
        return getattr(real, name)


class Heard:
    """What the wormhole's shell sees of the peer's dilation."""

    is_closing = is_gone = is_to_begin = is_unsaved = False

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    def heard(self, body: bytes) -> None:
        self.said.append(json.loads(body))

    def leave_entry(self) -> str:
        return ""

    def met(self) -> None:
        """Nothing."""

    end = stop = close = met


@define(eq=False)
class Ends:
    """A dilated wormhole that follows, and the peer's, which leads and is nothing but a script."""

    ours: Any
    theirs: Any
    dilated: Any
    heard: Heard
    listening: Made = field(factory=Made)
    sockets: list[socket.socket] = field(factory=list)

    def say(self, message: dict[str, Any]) -> None:
        inner = self.theirs._inner._happening
        reactor.call(
            inner.within, lambda: inner.react(ev.SendDilation(json.dumps(message).encode()))
        )

    def ports(self) -> list[int]:
        """Those that ours has told, one for each connection that it wanted."""
        return [
            hint["port"]
            for each in self.heard.said
            if each["type"] == "connection-hints"
            for hint in each["hints"][:1]
        ]

    def until(self, question: Any, what: str) -> Any:
        async def waiting() -> Any:
            return await reactor.until(question, what, 20)

        return reactor.run(waiting)

    def connect(self) -> socket.socket:
        port = self.until(self.ports, "hints")[-1]
        made = socket.create_connection(("127.0.0.1", port))
        made.settimeout(20)
        self.sockets.append(made)
        return made

    @property
    def key(self) -> bytes:
        return derive(self.theirs._inner._happening.exchange.shared_key, PURPOSE, 32)


class Wire:
    """A socket behind the handshake."""

    def __init__(self, ends: Ends) -> None:
        self.socket = ends.connect()
        greeting = NoiseGreeting(ends.key, leader=True, ephemeral=os.urandom(32))
        effects = greeting.begin()
        while not any(isinstance(each, Won) for each in effects):
            for each in effects:
                if isinstance(each, Send):
                    self.socket.sendall(each.data)
            ready = Ready() in effects
            effects = greeting.choose() if ready else greeting.hear(self.socket.recv(65_536))
        for each in effects:
            if isinstance(each, Send):
                self.socket.sendall(each.data)
        self.sending, receiving = greeting.ciphers
        self.frames = Frames(receiving)

    def say(self, *records: Record) -> None:
        self.socket.sendall(b"".join(frame(self.sending, write(each)) for each in records))

    def hear(self) -> list[Record]:
        """What came next."""
        while True:
            came = [read(each) for each in self.frames.feed(self.socket.recv(65_536))]
            if came:
                return came


@pytest.fixture
def ends() -> Iterator[Ends]:
    def begin() -> tuple[Ends, LoopingCall]:
        own = Reactor()
        network = Network(MailboxServer(real.seconds), own)
        ours, theirs = (holdfast.create(APPID, URL, own, dilation=True) for _ in range(2))
        heard, inner = Heard(), theirs._inner._happening
        inner.dilation = heard
        inner.enter(lambda: inner.react(ev.Dilate()))
        made = Ends(ours, theirs, ours.dilate(), heard)
        made.dilated.listener_for("name").listen(made.listening)
        for each in (ours, theirs):
            each.set_code(CODE)
        delivering = LoopingCall(network.deliver_all)
        delivering.start(0.003)
        return made, delivering

    made, delivering = reactor.call(begin)
    made.until(lambda: made.heard.said, "please")
    made.say({"type": "please", "side": SIDE, "use-version": "ged"})
    yield made
    for each in made.sockets:
        each.close()
    reactor.call(made.ours._inner._happening.abandon)
    reactor.call(made.theirs._inner._happening.abandon)
    reactor.call(delivering.stop)


def is_closed(line: socket.socket) -> bool:
    """Whether the other end closes it; what it says before is of no interest."""
    try:
        while line.recv(65_536):
            pass
    except ConnectionResetError:
        pass
    return True


def goes_on(ends: Ends) -> Wire:
    """A connection, on which records go both ways."""
    wire = Wire(ends)
    wire.say(Open(1, 0, "name"), Data(1, 1, b"there"))
    channel = ends.until(lambda: ends.listening.made, "a subchannel")[0]
    ends.until(lambda: channel.data == [b"there"], "a record")
    reactor.call(channel.transport.write, b"and back")
    heard: list[Record] = []
    while Data(1, 0, b"and back") not in heard:
        heard += wire.hear()
    return wire


def test_strangers_at_the_door(ends: Ends) -> None:
    """Garbage, a frame of 4 GB, hundreds that say nothing; the right one comes in."""
    for garbage in (b"\0" * 100_000, LEADER + LENGTH.pack(2**32 - 1) + bytes(1000)):
        line = ends.connect()
        line.sendall(garbage)
        assert is_closed(line)
    silent = [ends.connect() for _ in range(4 * MOST_ACCEPTED)]
    gone = silent[: -2 * MOST_ACCEPTED]
    assert all(is_closed(line) for line in gone)
    goes_on(ends)
    assert all(is_closed(line) for line in silent)


def test_a_peer_that_has_the_key_and_says_4_gb(ends: Ends) -> None:
    wire = Wire(ends)
    wire.socket.sendall(LENGTH.pack(2**32 - 1) + bytes(1000))
    assert is_closed(wire.socket)
    ends.say({"type": "reconnect"})
    ends.until(lambda: len(ends.ports()) == 2, "other hints")
    goes_on(ends)


def test_a_peer_that_never_reads(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's buffers fill, then ours; and when we close, our end is let go."""
    monkeypatch.setattr(closing, "CLOSING_TIME", 0.1)
    monkeypatch.setattr(link, "PATIENCE", 0.1)
    goes_on(ends)
    channel = ends.listening.made[0].transport
    transport = ends.ours._inner._happening.dilation._dilation._traffic.link.transport
    for _ in range(24):  # more than the system's buffers take
        reactor.call(channel.write, bytes(2**20))
    closed: Deferred[Any] = reactor.call(ends.ours.close)
    assert reactor.run(lambda: closed) == "happy"
    ends.until(lambda: not transport.connected, "the end of its socket")
