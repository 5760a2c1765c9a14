"""What comes over the connection of a transfer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

from holdfast.transfer.pumping import receive_json
from holdfast.transit.bulk import HEADER, Bulk
from holdfast.transit.errors import RecordError, WireError
from tests.fuzz.target import SECRET, expect, target
from tests.transit.memory_wire import MemoryWire

KEY = bytes(32)
MOST = 1000


def _streams() -> Iterator[bytes]:
    wire = MemoryWire()
    bulk = Bulk(wire, KEY, KEY)
    for plain in (b'{"ack": "ok"}', b"", SECRET.encode() * 20, b"x" * MOST):
        bulk.send(plain)
        yield bytes(wire.sent)


@target(RecordError, WireError, seeds=_streams, examples=80)
def records(data: bytes) -> None:
    """Whatever comes, in pieces of any size: genuine records, then an error, in bounded memory."""
    cuts = [each % 100 + 1 for each in data[:20]] or [1]
    wire = MemoryWire(bytearray(data), cycle(cuts))
    bulk = Bulk(wire, KEY, KEY, MOST)
    taken = 0
    while True:
        plain = bulk.receive()
        taken += HEADER + 16 + len(plain)
        expect(taken <= len(data), "more than came")


@target(RecordError, WireError, seeds=lambda: [b'{"ack": "ok", "sha256": "00"}'], examples=80)
def record_of_json(data: bytes) -> None:
    """What an authentic peer says in a record becomes a JSON object, or an error."""
    bulk = Bulk(MemoryWire(looped=True), KEY, KEY)
    bulk.send(data[:100_000])
    expect(isinstance(receive_json(bulk), dict), "something else than an object")
