"""Streams of records over subchannels, which both ends know beforehand: each checks the other.

Imported by the programs `dilated_peer` (stock) and `dilated_end` (ours), and by tests. The ends are
called "a" and "b". What a record holds follows from its stream, its sender and its place in it, so
that one that is lost, doubled, split, merged, or that comes out of order or in another stream, is
noticed by whoever takes it.
"""

import functools
import random
import zlib

from attrs import asdict, frozen
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol
from zope.interface import implementer

APPID = "example.org/streams"

SIZES = {
    "small": (0, 1, 700, 16_384, 65_510),
    "mixed": (65_511, 0, 200_000, 1, 16_384, 131_039, 65_510),
    "bulk": (65_510,),
    "large": (3_000_000, 0),
}
"""Bytes of the records of a stream, one after another, over and over."""

AT_ONCE = 8
"""Records that are written in one turn of the reactor, and that one plan is for."""


@frozen
class Stream:
    """What two ends say to each other on one subchannel.

    Args:
        name: of its subprotocol.
        opener: the end that opens it.
        a: how many records "a" sends.
        b: how many records "b" sends.
        sizes: how large they are; one of `SIZES`.
        half: whether each end closes its direction behind its last record. Otherwise the one that
            sends closes the whole, when it has got everything too.
        live: whether our ends write each record, instead of plans.
    """

    name: str
    opener: str = "a"
    a: int = 0
    b: int = 0
    sizes: str = "small"
    half: bool = False
    live: bool = False

    def count(self, end):
        """How many records this end sends."""
        return self.a if end == "a" else self.b

    def record(self, end, index):
        """Return the record of this index, from 0, that this end sends."""
        sizes = SIZES[self.sizes]
        size = sizes[index % len(sizes)]
        start = zlib.crc32(f"{self.name} {end} {index}".encode()) % (1 << 20)
        return noise()[start : start + size]

    def to_json(self):
        """Return what `Stream(**value)` takes."""
        return asdict(self)


@functools.cache
def noise():
    """Bytes of which no part is like another."""
    return random.Random("noise").randbytes(max(map(max, SIZES.values())) + (1 << 20))


def other(end):
    """The end at the other end."""
    return "b" if end == "a" else "a"


@implementer(IPushProducer)
class Talk(Protocol):
    """One end of a stream: sends what is its to send, and checks what comes.

    `ended(talk)` is called when there is no more to come. A stock transport that is closed in two
    halves never says `connectionLost`: `says_lost` is whether it is waited for.
    """

    says_lost = False

    def __init__(self, stream, end, reactor, ended):
        self.stream = stream
        self.end = end
        self.sent = self.received = 0
        self.wrong = None
        self._reactor = reactor
        self._ended = ended
        self._paused = self._closed = False
        self._over = set()
        self._turn = None

    @property
    def outcome(self):
        """What became of it, as JSON values."""
        return {"sent": self.sent, "received": self.received, "wrong": self.wrong}

    def connectionMade(self):
        if self.sent < self.stream.count(self.end):
            self.transport.registerProducer(self, True)
            if not self._paused:
                self._produce()
        else:
            self._close_if_done()

    def dataReceived(self, data):
        wanted = self.stream.count(other(self.end))
        if self.received >= wanted:
            self._fail(f"{len(data)} bytes behind the last record")
        elif bytes(data) != self.stream.record(other(self.end), self.received):
            self._fail(f"record {self.received} is another one, of {len(data)} bytes")
        self.received += 1
        self._close_if_done()

    def pauseProducing(self):
        self._paused = True

    def resumeProducing(self):
        self._paused = False
        if self._turn is None:
            self._turn = self._reactor.callLater(0, self._produce)

    def stopProducing(self):
        self._paused = True

    def connectionLost(self, reason):
        error = getattr(reason, "value", reason)  # stock gives the bare exception
        if not isinstance(error, ConnectionDone):
            self._fail(f"it ended by {type(error).__name__}")
        self._finish("read", "write", "lost")

    def write_some(self):
        """Write the next record, or a few."""
        self.transport.write(self.stream.record(self.end, self.sent))
        self.sent += 1

    def pace(self):
        """How often that is done at once, and the seconds until it is done again."""
        return AT_ONCE, 0

    def _produce(self):
        self._turn = None
        count = self.stream.count(self.end)
        some, seconds = self.pace()
        for _ in range(some):
            if self._paused or self.sent == count:
                break
            self.write_some()
        if self.sent == count:
            if not self._closed:
                self.transport.unregisterProducer()
            self._close_if_done()
        elif not self._paused and self._turn is None:
            self._turn = self._reactor.callLater(seconds, self._produce)

    def _close_if_done(self):
        stream, end = self.stream, self.end
        missing = stream.count(other(end)) - self.received
        if self._closed or self.sent < stream.count(end) or (missing and not stream.half):
            return
        if stream.half:
            self._closed = True
            self.transport.loseWriteConnection()
        elif stream.count(end) or (stream.opener == end and not stream.count(other(end))):
            self._closed = True
            self.transport.loseConnection()

    def _finish(self, *what):
        self._over |= {*what}
        if self._ended is not None and {"read", "write", *self.says_lost * ["lost"]} <= self._over:
            if self.received != self.stream.count(other(self.end)):
                self._fail(f"it ended after {self.received} records")
            if self.sent != self.stream.count(self.end):
                self._fail(f"it ended when {self.sent} were sent")
            ended, self._ended = self._ended, None
            ended(self)

    def _fail(self, what):
        self.wrong = self.wrong or what


@implementer(IHalfCloseableProtocol)
class HalfTalk(Talk):
    """The same with two directions that end one by one."""

    def readConnectionLost(self):  # noqa: N802
        self._finish("read")

    def writeConnectionLost(self):  # noqa: N802
        self._finish("write")


def kind_of_talk(stream):
    """The protocol for a stream."""
    return HalfTalk if stream.half else Talk
