"""One end of a dilated wormhole that survives its process, for `dilation.py`.

The sender has a file, and commits which records of it go next. The receiver writes a file, waits
for the disk, and remembers how far it is, in the commit that takes the records.
"""

from __future__ import annotations

import json
import os
from typing import Any

from attrs import define, field
from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.protocol import Factory, Protocol

from holdfast import create
from holdfast.transfer.storing import PIECE
from holdfast_journal import FlowJournal, NewFlow, Snapshot, SqlJournal
from tests.bench.measuring import Figures, program
from tests.bench.peers.gauge import Gauge, run

APPID = "example.com/bench"
AT_ONCE = 1_000_000
"""Bytes of a plan, more or less."""


class FileSender(Protocol):
    """Sends a file in records, a plan at a time."""

    transport: Any

    def __init__(self, path: str, size: int, record: int) -> None:
        self.over: Deferred[Figures] = Deferred()
        self._gauge = Gauge()
        self._file = os.open(path, os.O_RDONLY)
        self._record = record
        self._count = size // record
        self._planned = 0
        self._writes = False

    def connectionMade(self) -> None:
        self._gauge.begin()
        self.transport.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        if self._writes:
            return
        self._writes = True
        while self._writes and self._planned < self._count:
            some = min(max(1, AT_ONCE // self._record), self._count - self._planned)
            first, self._planned = self._planned, self._planned + some
            self.transport.write_plan(first, some, self._record)
        if self._writes:
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def pauseProducing(self) -> None:
        self._writes = False

    def stopProducing(self) -> None:
        self._writes = False

    def make_record(self, first: int, index: int) -> bytes:
        return os.pread(self._file, self._record, (first + index) * self._record)

    def save_state(self) -> int:
        return self._planned

    def connectionLost(self, reason: object = None) -> None:
        assert self._planned == self._count, "the connection was lost"
        self.over.callback(self._gauge.end(self._count * self._record))


class FileReceiver(Protocol):
    """Writes what comes to a file, which is on the disk before it says how far it is."""

    def __init__(self, journal: FlowJournal, path: str, size: int, record: int) -> None:
        self.over: Deferred[Figures] = Deferred()
        self._journal = journal
        self._gauge = Gauge()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        self._size = size // record * record
        self._written = self._synced = 0

    def connectionMade(self) -> None:
        self._gauge.begin()

    def dataReceived(self, data: bytes) -> None:
        view = memoryview(data)
        for at in range(0, len(data), PIECE):
            self._written += os.write(self._file, view[at : at + PIECE])

    def save_state(self) -> int:
        if self._written > self._synced:
            self._journal.before_commit(os.fdatasync, self._file)
            self._synced = self._written
        return self._written

    def connectionLost(self, reason: object = None) -> None:
        assert self._written == self._size, "the connection was lost"
        self.over.callback(self._gauge.end(self._size))


@define(eq=False)
class Side:
    """A delegate whose wormhole is dilated."""

    code: str
    dilated: Deferred[Any] = field(factory=Deferred)
    wormhole: Any = None

    def wormhole_dilated(self, dilated: Any) -> None:
        self.dilated.callback(dilated)

    def snapshot(self) -> Snapshot:
        document = self.wormhole.serialize()
        return Snapshot("running", json.dumps(document).encode(), {}, False, False)


def measure(url: str, code: str, role: str, place: str, size: int, record: int) -> Figures:
    """The figures of this end; `place` is a folder on the disk."""
    journal = SqlJournal.open(f"sqlite:///{place}/{role}.db", reactor=reactor)
    journal.start_flows("bench", [NewFlow(role, role, b"{}")], own=True)
    flow = journal.take()[0].journal
    side = Side(code)

    @inlineCallbacks
    def story() -> Any:
        flow.attach(side.snapshot)
        side.wormhole = create(APPID, url, reactor, delegate=side, journal=flow)
        side.wormhole.set_code(code)
        side.wormhole.dilate()
        dilated = yield side.dilated
        if role == "send":
            sender = FileSender(f"{place}/file", size, record)
            yield dilated.connector_for("bench").connect(Factory.forProtocol(lambda: sender))
            figures = yield sender.over
        else:
            receiver = FileReceiver(flow, f"{place}/received", size, record)
            yield dilated.listener_for("bench").listen(Factory.forProtocol(lambda: receiver))
            figures = yield receiver.over
        return figures

    return run(story)


if __name__ == "__main__":
    program(measure)
