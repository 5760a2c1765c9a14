"""What a peer says about a dilated connection, and on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

from holdfast.dilation import control, records
from holdfast.dilation.errors import ProtocolError
from holdfast.dilation.frames import LENGTH, Frames, frame
from holdfast.dilation.greeting import NoiseGreeting
from holdfast.dilation.noise import Cipher
from holdfast.transit.handshake import Lost, Ready, Send, Won
from holdfast.transit.hints import MOST as MOST_HINTS
from holdfast.transit.hints import DirectHint, RelayHint
from tests.fuzz.target import SECRET, expect, target

KEY = bytes(32)
MOST = 70_000


def _messages() -> Iterator[bytes]:
    direct = DirectHint("192.0.2.1", 4001)
    for each in (
        control.Please("0123456789abcdef"),
        control.Hints((direct, RelayHint((direct, direct)))),
        control.Reconnect(),
        control.Reconnecting(),
    ):
        yield control.write(each)
    yield json.dumps({"type": "connection-hints", "hints": [None, {"type": "x"}]}).encode()
    yield json.dumps({"type": "please", "side": SECRET, "holdfast": True}).encode()


@target(seeds=_messages, examples=150)
def dilation_messages(data: bytes) -> None:
    """Whatever a peer tells through the mailbox: a value, the same when it is said again."""
    said = control.read(data)
    if isinstance(said, control.Ignored):
        expect(0 < len(said.why) < 50 and SECRET not in said.why, "no words, or too many")
        return
    expect(control.read(control.write(said)) == said, "another message when it is said again")
    if isinstance(said, control.Hints):
        count = sum(len(each.hosts) if isinstance(each, RelayHint) else 1 for each in said.hints)
        expect(count <= MOST_HINTS, "too many hints")


def _records() -> Iterator[bytes]:
    for each in (
        records.Kcm(),
        records.Ping(b"ping"),
        records.Pong(b"pong"),
        records.Open(1, 0, "fowl"),
        records.Data(1, 2, SECRET.encode()),
        records.Close(1, 3),
        records.Ack(2**32 - 1),
    ):
        yield records.write(each)


@target(ProtocolError, seeds=_records, examples=150)
def dilation_records(data: bytes) -> None:
    """Whatever is in a frame: a record, of which nothing is lost, or an error."""
    record = records.read(data)
    again = records.write(record)
    expect(data.startswith(again), "another record")
    expect(len(again) == len(data) or not isinstance(record, records.Open | records.Data), "lost")
    expect(SECRET not in repr(record) or isinstance(record, records.Open), "content is shown")


def _frames() -> Iterator[bytes]:
    cipher = Cipher(KEY)
    plaintexts = [b"", SECRET.encode(), b"x" * 1000]
    yield b"".join(frame(cipher, each) for each in plaintexts)
    yield frame(Cipher(KEY), bytes(66_000))
    yield LENGTH.pack(2**32 - 1) + bytes(100)


@target(ProtocolError, seeds=_frames, examples=80)
def dilation_frames(data: bytes) -> None:
    """Whatever comes, in pieces: genuine frames, then an error, and no more than came."""
    step = data[-1] + 1 if data else 1
    frames, taken = Frames(Cipher(KEY), MOST), 0
    for at in range(0, len(data), step):
        for plaintext in frames.feed(data[at : at + step]):
            taken += LENGTH.size + 16 + len(plaintext)
            expect(taken <= len(data), "more than came")


def _ends() -> tuple[NoiseGreeting, NoiseGreeting]:
    """A leader and a follower, with the same keys each time."""
    return (
        NoiseGreeting(KEY, leader=True, ephemeral=b"l" * 32),
        NoiseGreeting(KEY, leader=False, ephemeral=b"f" * 32),
    )


@cache
def _conversation() -> tuple[bytes, bytes]:
    """What a leader and a follower say."""
    ends, said = _ends(), [b"", b""]
    effects = [list(end.begin()) for end in ends]
    while any(effects):
        for number, other in ((0, 1), (1, 0)):
            now, effects[number] = effects[number], []
            for effect in now:
                if isinstance(effect, Send):
                    said[number] += effect.data
                    effects[other] += ends[other].hear(effect.data)
                elif isinstance(effect, Ready):
                    effects[number] += ends[number].choose()
    return said[0], said[1]


def _greetings() -> Iterator[bytes]:
    leader, follower = _conversation()
    for first in (0, 1, 40, 81):
        right = leader if first & 1 else follower
        yield bytes([first]) + right + b"more"
        yield bytes([first | 2]) + b"ok\n" + right
    yield bytes([1]) + leader[:47] + LENGTH.pack(2**32 - 1)


@target(seeds=_greetings, examples=150)
def dilation_greetings(data: bytes) -> None:
    """Whatever is on the other end of a socket: it proves itself before it may win, or loses.

    The first byte says whether we are the follower, whether there is a relay, and where the rest
    is cut in two.
    """
    first = data[0] if data else 0
    heard = data[1:]
    ephemeral = b"f" * 32 if first & 1 else b"l" * 32
    relay_side = "0" * 16 if first & 2 else None
    end = NoiseGreeting(KEY, leader=not first & 1, ephemeral=ephemeral, relay_side=relay_side)
    effects = list(end.begin())
    cut = (first >> 2) * 4
    for piece in (heard[:cut], heard[cut:]):
        more = end.hear(piece)
        effects += more
        if Ready() in more:
            effects += end.choose()
    won = [each for each in effects if isinstance(each, Won)]
    lost = [each for each in effects if isinstance(each, Lost)]
    expect(len(won) + len(lost) <= 1, "more than one end")
    right = _conversation()[0 if first & 1 else 1]
    expect(not won or right in heard, "a stranger has won")
    behind = heard[heard.find(right) + len(right) :]
    expect(all(behind.startswith(each.leftover) for each in won), "something else came behind")
    effects += end.reject()
