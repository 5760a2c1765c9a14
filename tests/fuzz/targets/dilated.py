"""What a peer that has the key does to a dilated wormhole, in the mailbox and on sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.logger import LogLevel, globalLogPublisher

from holdfast.dilation.document import load
from holdfast.dilation.ledger import MOST_HELD
from holdfast.dilation.records import Ack, Close, Data, Open, Ping
from tests.dilation.scripted import Line, Peer
from tests.dilation.world import Told
from tests.fuzz.target import expect, target

MOST_STEPS = 60


HINTS = {
    "type": "connection-hints",
    "hints": [{"type": "direct-tcp-v1", "hostname": "h", "port": 1001}],
}

SCRIPTS = (
    "c,o2name,o1name,d2x,d1x,w,a0,k2,k1",
    "c,o1nobody,o2nobody,D1,D2,D1,D2,n,g,s",
    'c,x,t9,m{"type": "reconnect"},m{"type": "reconnecting"},c,o0,o2name,o1name',
    "b\0,b\xff\xff\xff\xff,t9,t9,c,B\0\1,t9",
    "c,r\0,c,r\7,p,w,w,t9,a9,P,q",
    "c,o1name,o2name,h,D1,D2,D1,D2,s,i,k2",
    "c,o1name,o2name,y,w,y,a1,k1,k2,a3,x,t9,a9",
)


def _scripts() -> Iterator[bytes]:
    yield b"l\nm" + json.dumps(HINTS).encode() + b"\nc"
    for role in (b"L\n", b"f\n"):
        for script in SCRIPTS:
            yield role + script.encode("latin-1").replace(b",", b"\n")


@target(seeds=_scripts, examples=12)
def dilation_driver(data: bytes) -> None:
    """Whatever it does, nothing is logged, little is kept, and messages go on."""
    steps = data.split(b"\n")[:MOST_STEPS]
    with _no_errors():
        first = steps[0][:1].lower()
        script = _Script(Peer(leads=first == b"f", stored=first != steps[0][:1]))
        for step in steps[1:]:
            script.do(step[:1].decode("latin-1"), step[1:])
            script.check()
        script.peer.run(100)
        script.check()
        script.peer.messages_go_on()


@contextmanager
def _no_errors() -> Iterator[None]:
    """See that nothing is logged as an error."""
    logged: list[Any] = []

    def observe(event: Any) -> None:
        if event.get("log_level") in (LogLevel.error, LogLevel.critical):
            logged.append(event.get("log_failure") or event.get("log_format"))

    globalLogPublisher.addObserver(observe)
    try:
        yield
    finally:
        globalLogPublisher.removeObserver(observe)
    expect(not logged, f"logged: {logged[:1]}")


class Planner(Told):
    """Makes records of plans."""

    def make_record(self, plan: Any, index: int) -> bytes:
        return bytes(plan * index)


class _Script:
    """Does one step after another."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        peer.listening.make = Planner
        peer.please()
        self.line = Line()
        self.next = 0

    def do(self, what: str, data: bytes) -> None:
        """One step, with what follows its letter."""
        peer, line = self.peer, self.line
        number = data[0] & 15 if data else 0
        if what == "m":
            peer.say(data)
        elif what == "c" and peer.world.sockets.ports:
            self.line = peer.connect(Line(peer.greeting()))
        elif what == "b" and peer.world.sockets.ports:
            peer.connect(Line()).transport.write(data)
        elif what == "t":
            peer.run(10 * number)
        elif what and what in "nshigwy":
            self._application(what)
        elif not line.is_won or line.lost:
            return
        elif what == "x":
            line.transport.abortConnection()
        elif what in "pP":
            (line.transport.pauseProducing if what == "p" else line.transport.resumeProducing)()
        elif what == "B":
            line.transport.write(data)
        elif what == "r":
            line.say(data)
        elif what == "a":
            line.say(Ack(number))
        elif what == "q":
            line.say(*[Ping(b"ping")] * 100)
        elif what in "odDk":
            self._record(what, number, data[1:])
        peer.run()

    def _record(self, what: str, number: int, data: bytes) -> None:
        """The next of them; or an older one that comes again, if there is no number."""
        seq = self.peer.ledger.highest_in + 1 if number else 0
        record = {
            "o": Open(number, seq, data.decode("latin-1")[:100]),
            "d": Data(number, seq, data),
            "D": Data(number, seq, bytes(MOST_HELD - 1000)),
            "k": Close(number, seq),
        }[what]
        self.line.say(record)

    def _application(self, what: str) -> None:
        """What ours does meanwhile."""
        peer = self.peer
        channels = [each.transport for each in peer.listening.made]
        if what == "n":
            if "nobody" not in peer.inner._channels._listeners:
                peer.dilated.listener_for("nobody").listen(peer.listening)
        elif channels and what == "w":
            channels[-1].write(bytes(50_000))
        elif channels and what == "y":
            channels[-1].write_plan(7, 3, 100)
        elif channels and what in "hi":
            (channels[-1].pauseProducing if what == "h" else channels[-1].resumeProducing)()
        elif channels:
            (channels[-1].loseConnection if what == "g" else channels[-1].abortConnection)()

    def check(self) -> None:
        """See that all is well, and that nothing grows."""
        peer = self.peer
        world, inner = peer.world, peer.inner
        untaken = inner._traffic.receiving._untaken
        expect(not peer.happening.life.is_over, "the wormhole is over")
        expect(peer.ledger.held_bytes <= 2 * MOST_HELD, "too much is held")
        expect(untaken.size <= 3 * untaken.enough + MOST_HELD, "too much is queued")
        expect(len(world.sockets.ports) <= 1, "more than one port")
        expect(len(world.sockets.open) <= 60, "too many sockets")
        expect(len(world.clock.getDelayedCalls()) <= 150, "too many timers")
        expect(load(json.loads(json.dumps(inner.save()))) is not None, "it cannot be loaded")
