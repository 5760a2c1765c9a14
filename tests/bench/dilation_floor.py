"""What a gigabyte costs at least between two processes that encrypt records in Twisted.

    python -m tests.bench --only dilation_floor

Twisted's TCP, the cipher, and a length before each record: no wormhole, no numbers, no channels, no
acknowledgements.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Factory, Protocol

from holdfast.dilation.frames import Frames, frame
from holdfast.dilation.noise import Cipher
from tests.bench.measuring import Figures, number, program
from tests.bench.peers.gauge import Gauge
from tests.bench.transfer_floor import connection

SIZE = 300_000_000
RECORDS = (16_384, 65_510)
KEY = bytes(32)


class Sending(Protocol):
    """Encrypts and writes records until it is paused."""

    transport: Any

    def __init__(self, gauge: Gauge, record: int) -> None:
        self._gauge = gauge
        self._record = bytes(record)
        self._left = SIZE // record
        self._cipher = Cipher(KEY)
        self._writes = False

    def connectionMade(self) -> None:
        self._gauge.begin()
        self.transport.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        self._writes = True
        while self._writes and self._left:
            self._left -= 1
            self.transport.write(frame(self._cipher, self._record))
        if self._writes:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def pauseProducing(self) -> None:
        self._writes = False

    def stopProducing(self) -> None:
        self._writes = False


class Receiving(Protocol):
    """Decrypts records."""

    def __init__(self, gauge: Gauge, record: int) -> None:
        self._gauge = gauge
        self._frames = Frames(Cipher(KEY))
        self._left = SIZE // record

    def connectionMade(self) -> None:
        self._gauge.begin()

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(self._frames.feed(data))


def run(make: Callable[[Gauge], Protocol], descriptor: int, address_family: int) -> Figures:
    """Run a reactor with one connection until it ends."""
    from twisted.internet import reactor

    reactor_: Any = reactor
    gauge = Gauge()
    figures: dict[str, float] = {}

    class Ending(Factory):
        def buildProtocol(self, _: object) -> Protocol:
            protocol = make(gauge)

            def lost(_: object = None) -> None:
                figures.update(gauge.end(SIZE))
                reactor_.stop()

            protocol.connectionLost = lost  # type: ignore[method-assign]
            return protocol

    reactor_.callWhenRunning(reactor_.adoptStreamConnection, descriptor, address_family, Ending())
    reactor_.run()
    return figures


def measure(record: int) -> Figures:
    """Both ends, each in a process of its own."""
    one, other = connection()
    ours, theirs = os.pipe()
    if (pid := os.fork()) == 0:
        one.close()
        received = run(lambda gauge: Receiving(gauge, record), other.fileno(), other.family)
        os.write(theirs, json.dumps(received).encode())
        os._exit(0)
    other.close()
    sent = run(lambda gauge: Sending(gauge, record), one.fileno(), one.family)
    received = json.loads(os.read(ours, 4096))
    os.waitpid(pid, 0)
    return {"send": sent["cpu"], "receive": received["cpu"], "rate": received["rate"]}


def sentence(found: Figures, record: int) -> str:
    """What was measured, for below the table."""
    return (
        f"Twisted's TCP, the cipher and frames alone take {number(found['send'])} and"
        f" {number(found['receive'])} CPU s for a gigabyte of records of {record:,} bytes,"
        f" at {number(found['rate'])} MB/s."
    )


def tell(say: Callable[[str], object]) -> None:
    """Measure it some times, and say it."""
    for _ in range(3):
        for record in RECORDS:
            say(sentence(measure(record), record))


if __name__ == "__main__":
    program(measure)
