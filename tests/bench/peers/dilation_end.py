"""One end of a dilated wormhole, for `dilation.py`: the same lines for either library.

It runs in the environment of the peer with `library="wormhole"`, in ours with `"holdfast"`.
"""

import gc
from importlib import import_module

from figures import program
from gauge import Gauge, memory, run
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

APPID = "example.com/bench"
WARM = 20
"""Idle subchannels that are not counted: the first need what all share."""


class Sender(Protocol):
    """Writes records, each of them new bytes, until it is paused."""

    def __init__(self, size, record):
        self.over = Deferred()
        self._gauge = Gauge()
        self._record = bytearray(record)
        self._size = self._left = size // record
        self._writes = False

    def connectionMade(self):
        self._gauge.begin()
        self.transport.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self):
        if self._writes:
            return
        self._writes = True
        while self._writes and self._left:
            self._left -= 1
            self.transport.write(bytes(self._record))
        if self._writes:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def pauseProducing(self):
        self._writes = False

    def stopProducing(self):
        self._writes = False

    def connectionLost(self, reason):
        assert not self._left, "the connection was lost"
        self.over.callback(self._gauge.end(self._size * len(self._record)))


class Receiver(Protocol):
    """Counts records."""

    def __init__(self, size, record):
        self.over = Deferred()
        self._gauge = Gauge()
        self._record, self._left = record, size // record
        self._size = self._left * record

    def connectionMade(self):
        self._gauge.begin()

    def dataReceived(self, data):
        assert len(data) == self._record
        self._left -= 1
        if not self._left:
            self.over.callback(self._gauge.end(self._size))


class Counting(Factory):
    """Idle protocols; fires when there are so many."""

    protocol = Protocol

    def __init__(self, count):
        self.there = Deferred()
        self._left = count

    def buildProtocol(self, address):
        self._left -= 1
        if not self._left:
            self.there.callback(None)
        return super().buildProtocol(address)


@inlineCallbacks
def send(dilated, size, record):
    protocol = Sender(size, record)
    yield dilated.connector_for("bench").connect(Factory.forProtocol(lambda: protocol))
    return (yield protocol.over)


@inlineCallbacks
def receive(dilated, size, record):
    protocol = Receiver(size, record)
    yield dilated.listener_for("bench").listen(Factory.forProtocol(lambda: protocol))
    return (yield protocol.over)


@inlineCallbacks
def opened(dilated, count, name):
    endpoint = dilated.connector_for(name)
    yield gatherResults([endpoint.connect(Factory.forProtocol(Protocol)) for _ in range(count)])


@inlineCallbacks
def listened(dilated, count, name):
    counting = Counting(count)
    yield dilated.listener_for(name).listen(counting)
    yield counting.there


@inlineCallbacks
def idle(dilated, open_them, count):
    """Bytes of each idle subchannel."""
    yield open_them(dilated, WARM, "warm")
    yield deferLater(reactor, 1.0, gc.collect)
    before = memory()
    yield open_them(dilated, count, "idle")
    yield deferLater(reactor, 2.0, gc.collect)
    return {"bytes": (memory() - before) * 1e6 / count}


ROLES = {
    "send": send,
    "receive": receive,
    "open": lambda dilated, count: idle(dilated, opened, count),
    "listen": lambda dilated, count: idle(dilated, listened, count),
}


def measure(library, url, code, role, **arguments):
    """The figures of this end."""

    @inlineCallbacks
    def story():
        create = import_module(library).create
        wormhole = create(APPID, url, reactor, dilation=True)
        wormhole.set_code(code)
        dilated = wormhole.dilate()
        if role in ("send", "open"):
            yield dilated.when_dilated()
        return (yield ROLES[role](dilated, **arguments))

    return run(story)


if __name__ == "__main__":
    program(measure)
