"""What a peer offers to connect to, and what comes over the connection of a transfer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import cycle

from holdfast.transfer.pumping import receive_json
from holdfast.transit.bulk import HEADER, Bulk
from holdfast.transit.errors import RecordError, WireError
from holdfast.transit.handshake import LineHandshake, Lost, Ready, Won
from holdfast.transit.hints import MOST as MOST_HINTS
from holdfast.transit.hints import RelayHint, encode, parse
from holdfast.transit.keeping import Kept, flow_of, tag_of
from holdfast.transit.keys import Role, TransitKeys
from holdfast.transit.positions import Position
from holdfast.transit.records import Opener
from holdfast.transit.unread import Unread
from tests.fuzz.target import SECRET, expect, target
from tests.transit.memory_wire import LookingWire, MemoryWire

KEY = bytes(32)
MOST = 1000


def _streams() -> Iterator[bytes]:
    wire = MemoryWire()
    bulk = Bulk(wire, KEY, KEY)
    for plain in (b'{"ack": "ok"}', b"", SECRET.encode() * 20, b"x" * MOST):
        bulk.send(plain)
        yield bytes(wire.sent)
    by_aes = MemoryWire()
    bulk = Bulk(by_aes, KEY, KEY)
    bulk.send_by_aes()
    bulk.send(SECRET.encode())
    yield bytes(by_aes.sent)


@target(RecordError, WireError, seeds=_streams, examples=80)
def records(data: bytes) -> None:
    """Whatever comes, in pieces of any size: genuine records, then an error, in bounded memory."""
    cuts = [each % 100 + 1 for each in data[:20]] or [1]
    wire = MemoryWire(bytearray(data), cycle(cuts))
    bulk = Bulk(wire, KEY, KEY, MOST)
    if len(data) % 2:
        bulk.receive_by_aes()
    taken = 0
    while True:
        plain = bulk.receive()
        taken += HEADER + 16 + len(plain)
        expect(taken <= len(data), "more than came")


@target(RecordError, WireError, seeds=_streams, examples=80)
def records_left_unread(data: bytes) -> None:
    """The same from a connection that is kept: what is taken is what was returned, in order."""
    wire = LookingWire(bytearray(data))
    unread = Unread(wire, KEY, MOST)
    returned = 0
    while True:
        for plain in unread.receive_some(len(data) % 3 * 500):
            returned += HEADER + 16 + len(plain)
        expect(returned <= len(data), "more than came")
        unread.took()
        expect(len(data) - len(wire.coming) == returned, "something else was taken")


@target(ValueError, seeds=lambda: [Kept(flow_of("0"), tag_of(KEY), Position(1, 2)).name.encode()])
def kept_names(data: bytes) -> None:
    """A name of a connection is one of ours, and read as it was written; or it is none."""
    kept = Kept.named(data.decode("ascii"))
    if kept is not None:
        again = Kept.named(kept.name)
        expect(again == kept, "it is read as something else")


@target(RecordError, WireError, seeds=lambda: [b'{"ack": "ok", "sha256": "00"}'], examples=80)
def record_of_json(data: bytes) -> None:
    """What an authentic peer says in a record becomes a JSON object, or an error."""
    bulk = Bulk(MemoryWire(looped=True), KEY, KEY)
    bulk.send(data[:100_000])
    expect(isinstance(receive_json(bulk), dict), "something else than an object")


def _hints() -> Iterator[bytes]:
    direct = {"type": "direct-tcp-v1", "hostname": "192.0.2.1", "port": 4001, "priority": 0.0}
    yield json.dumps([direct, {"type": "relay-v1", "hints": [direct, direct]}]).encode()
    yield json.dumps([direct | {"hostname": "2001:db8::1"}, None, {"type": "x"}]).encode()
    yield json.dumps([direct | {"port": "4001", "priority": None, "type": "tor-tcp-v1"}]).encode()


@target(ValueError, RecursionError, seeds=_hints, quotes=True, examples=150)
def hints(data: bytes) -> None:
    """Whatever hints a peer gives: a bounded number of good ones, the same when said again."""
    value = json.loads(data[:100_000].decode(errors="replace"))
    found = parse(value)
    expect(parse(json.loads(json.dumps(encode(found), allow_nan=False))) == found, "another hint")
    count = sum(len(each.hosts) if isinstance(each, RelayHint) else 1 for each in found)
    expect(count <= MOST_HINTS, "too many hints")


ROLES: tuple[Role, ...] = ("sender", "receiver")
KEYS = TransitKeys(KEY)


def _handshakes() -> Iterator[bytes]:
    for role, line in zip(ROLES, (KEYS.receiver_line, KEYS.sender_line), strict=True):
        first = ROLES.index(role)
        yield bytes([first]) + line + b"go\nmore"
        yield bytes([first]) + line + b"nevermind\n"
        yield bytes([first | 2]) + b"ok\n" + line
        yield bytes([first | 2]) + b"impatient\n"


@target(seeds=_handshakes, examples=150)
def handshakes(data: bytes) -> None:
    """Whatever is on the other end of a socket: it proves itself before it may win, or loses.

    The first byte says whether we are the receiver, whether there is a relay, and where the rest is
    cut in two.
    """
    first = data[0] if data else 0
    said = data[1:]
    handshake = LineHandshake(KEYS, ROLES[first & 1], "0" * 16 if first & 2 else None)
    effects = list(handshake.begin())
    cut = (first >> 2) * 2
    for piece in (said[:cut], said[cut:]):
        more = handshake.hear(piece)
        effects += more
        if Ready() in more and handshake.state == "ready":
            effects += handshake.choose()
    theirs = KEYS.receiver_line if ROLES[first & 1] == "sender" else KEYS.sender_line
    won = [each for each in effects if isinstance(each, Won)]
    lost = [each for each in effects if isinstance(each, Lost)]
    expect(len(won) + len(lost) <= 1, "more than one end")
    expect(not won or theirs in said, "a stranger has won")
    effects += handshake.reject()


@target(RecordError, seeds=_streams, examples=80)
def records_cut_by_twisted(data: bytes) -> None:
    """Whatever comes, in pieces: genuine records, then an error, and no more is kept than came."""
    opener = Opener(KEY, MOST)
    taken = 0
    for start in range(0, len(data), 100):
        for plain in opener.feed(data[start : start + 100]):
            taken += HEADER + 16 + len(plain)
            expect(taken <= len(data), "more than came")
