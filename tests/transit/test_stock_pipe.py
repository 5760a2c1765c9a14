"""The stock client's record pipe at the other end, from its `go` on."""

import json
from hashlib import sha256
from io import BytesIO
from types import SimpleNamespace

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from wormhole.transit import Connection, TransitReceiver, TransitSender

from holdfast.crypto import derive
from holdfast.transit.bulk import Bulk
from tests.transit.memory_wire import MemoryWire

KEY = bytes(range(32))
SENDER = derive(KEY, "transit_record_sender_key", 32)
RECEIVER = derive(KEY, "transit_record_receiver_key", 32)


class Stock:
    """A stock side of a connection, after its handshake."""

    def __init__(self, owner: TransitSender | TransitReceiver) -> None:
        owner.set_transit_key(KEY)
        self.pipe = Connection(owner, None, 0, "a test")
        self.pipe.factory = SimpleNamespace(connectionWasMade=lambda _: None)
        self.transport = StringTransport()
        self.pipe.makeConnection(self.transport)
        self.pipe.startNegotiation()
        self.pipe.dataReceived(owner._expect_this())
        if isinstance(owner, TransitReceiver):
            self.pipe.dataReceived(b"go\n")
        self.transport.clear()

    def said(self) -> bytearray:
        return bytearray(self.transport.value())


DATA = bytes(range(256)) * 2000


def test_stock_receiver() -> None:
    """It receives what we send, in records of any size, and we read its acknowledgement."""
    stock = Stock(TransitReceiver(None, no_listen=True, reactor=Clock()))
    wire = MemoryWire()
    bulk = Bulk(wire, SENDER, RECEIVER)
    file, digest = BytesIO(), sha256()
    done = stock.pipe.writeToFile(file, len(DATA), hasher=digest.update)
    for start, end in ((0, 100_000), (100_000, 100_000), (100_000, 100_001), (100_001, len(DATA))):
        for at in range(start, max(end, start + 1), 120_000):
            bulk.send(DATA[at : min(end, at + 120_000)])
    stock.pipe.dataReceived(bytes(wire.sent))
    assert done.result == len(DATA)
    assert file.getvalue() == DATA

    stock.pipe.send_record(json.dumps({"ack": "ok", "sha256": digest.hexdigest()}).encode())
    wire.coming = stock.said()
    assert json.loads(bytes(bulk.receive()))["sha256"] == sha256(DATA).hexdigest()


@pytest.mark.parametrize("size", [1, 16_384, 1_000_000])
def test_stock_sender(size: int) -> None:
    """We receive what it sends, whatever its records' size, and it reads our acknowledgement."""
    stock = Stock(TransitSender(None, no_listen=True, reactor=Clock()))
    data = DATA if size > 1 else DATA[:300]
    for at in range(0, len(data), size):
        stock.pipe.send_record(data[at : at + size])
    wire = MemoryWire(stock.said())
    bulk = Bulk(wire, RECEIVER, SENDER)
    assert b"".join(bytes(bulk.receive()) for _ in range(0, len(data), size)) == data

    acknowledged = stock.pipe.receive_record()
    bulk.send(b'{"ack": "ok"}')
    stock.pipe.dataReceived(bytes(wire.sent))
    assert acknowledged.result == b'{"ack": "ok"}'
