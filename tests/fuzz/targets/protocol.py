"""What the mailbox server and the peer say, and what is resumed."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha1
from typing import Any

from twisted.internet.task import Clock
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from holdfast.core import checkpoint
from holdfast.core import events as ev
from holdfast.core.codec import from_json, to_json
from holdfast.core.messages import parse_pake, parse_versions
from holdfast.crypto import BadPake
from holdfast.errors import BadCheckpoint
from holdfast.rendezvous.heartbeat import Heartbeat
from holdfast.rendezvous.intake import Intake
from holdfast.rendezvous.messages import Messages
from holdfast.rendezvous.websocket import WebSocket
from holdfast.rendezvous.wire import Malformed, read
from holdfast.transfer import messages as transfer
from holdfast.transfer import text
from tests.core.record import HISTORIES
from tests.fuzz.target import expect, target
from tests.fuzz.wormholes import CUT, PEER, alive, check_document, look_at, recorded
from tests.rendezvous.line import URL, Ear, Line

MESSAGE = {"type": "message", "side": PEER, "phase": "pake", "body": "00", "id": "ab"}
PAKE = '{"pake_v1": "53%s"}' % bytes(range(32)).hex()  # noqa: UP031 - braces are JSON's

FRAMES: list[Any] = [
    {"type": "welcome", "welcome": {"motd": "hello", "current_cli_version": "0.1"}},
    {"type": "welcome", "welcome": {"error": "go away"}},
    {"type": "allocated", "nameplate": "4"},
    {"type": "claimed", "mailbox": "mailbox1"},
    MESSAGE,
    {**MESSAGE, "body": PAKE.encode().hex()},
    {**MESSAGE, "phase": "version"},
    {**MESSAGE, "side": "365e0c9cff", "phase": "0"},
    {"type": "released"},
    {"type": "closed"},
    {"type": "nameplates", "nameplates": [{"id": "4"}, {"id": "5"}]},
    {"type": "pong", "pong": 0},
    {"type": "ack", "id": "ab"},
    {"type": "error", "error": "crowded", "orig": {"type": "claim"}},
]


def _frames() -> Iterator[bytes]:
    for frame in FRAMES:
        yield json.dumps(frame).encode()


@target(Malformed, seeds=_frames, examples=150)
def wire(data: bytes) -> None:
    """A text from the server becomes an event that can be recorded."""
    event = read(data.decode(errors="replace"))
    if isinstance(event, ev.Event):
        again = from_json(json.loads(json.dumps(to_json(event), allow_nan=False)))
        expect(again == event, "an event is another when it is read back")


def _conversations() -> Iterator[bytes]:
    welcome, *others = [json.dumps(frame) for frame in FRAMES]
    for stage in range(len(recorded())):
        told = "\n".join([welcome, *others[2:5], CUT, welcome, *others[10:], *others[8:10]])
        yield f"{stage}\n{told}".encode()
        yield f"{stage}\n{welcome}\n{others[stage % len(others)]}".encode()


@target(seeds=_conversations, examples=60)
def frames(data: bytes) -> None:
    """Whatever a server says to a wormhole in whatever state, the wormhole stays whole.

    The first line says which recorded checkpoint; the others are what comes.
    """
    first, *lines = data.decode(errors="replace").split("\n")
    with alive(_stage(first)) as wormhole:
        for line in lines[:50]:
            wormhole.hear(line)


def _stage(line: str) -> str:
    """The checkpoint that an input's first line names, whatever it is."""
    documents = recorded()
    number = int(line) if line.isascii() and line.isdigit() and len(line) < 4 else 0
    return documents[number % len(documents)]


def _peers() -> Iterator[bytes]:
    told = [
        ("pake", PAKE),
        ("version", '{"app_versions": {"a": 1}}'),
        ("0", '{"offer": {"message": "hello"}}'),
        ("1", '{"answer": {"message_ack": "ok"}}'),
        ("2", '{"error": "no room"}'),
        ("dilate-0", "{}"),
    ]
    lines = "\n".join(f"{phase}\t{said}" for phase, said in told)
    for stage in range(len(recorded())):
        yield f"{stage}\n{lines}".encode()


@target(seeds=_peers, examples=60)
def peer(data: bytes) -> None:
    """Whatever a peer puts into the mailbox, under the right key where there is one.

    The first line says which recorded checkpoint, each other line is PHASE, a tab, and the
    plaintext.
    """
    first, *lines = data.split(b"\n")
    with alive(_stage(first.decode(errors="replace"))) as wormhole:
        wormhole.hear(json.dumps(FRAMES[0]))
        wormhole.hear(json.dumps({"type": "claimed", "mailbox": "mailbox1"}))
        for line in lines[:50]:
            phase, _, said = line.partition(b"\t")
            name = phase.decode(errors="surrogateescape")
            body = wormhole.boxed(name, said)
            frame = {**MESSAGE, "phase": name, "body": body.hex()}
            wormhole.hear(json.dumps(frame))


@target(BadPake, ValueError, seeds=lambda: [PAKE.encode(), b'{"app_versions": {}}'], examples=80)
def messages(data: bytes) -> None:
    """The peer's half of the key, and its versions."""
    try:
        expect(len(parse_pake(data)) == 33, "a half of another length")
    except BadPake:
        json.dumps(parse_versions(data).app, allow_nan=False)


def _transfers() -> Iterable[bytes]:
    return [
        text.offer("hello"),
        transfer.accept_text(),
        transfer.refuse("no room"),
        b'{"offer": {"file": {"filename": "a", "filesize": 1}}}',
        transfer.offer(transfer.Offer("folder", "b", 300, 2, 100, "ab" * 32)),
        transfer.transit([{"type": "direct-tcp-v1"}], [{"type": "relay-v1", "hints": []}]),
        transfer.accept_offer(),
        transfer.received("cd" * 32),
    ]


@target(ValueError, seeds=_transfers, examples=80)
def transfers(data: bytes) -> None:
    """What the peer of a flow says about a text, a file or a folder."""
    for said in transfer.read(data):
        if isinstance(said, transfer.PeerSaysNo):
            expect(said.error.isprintable() and len(said.error) <= 200, "words that are no line")
        if isinstance(said, transfer.TextOffer):
            expect(said.text not in repr(said) or len(said.text) < 20, "a repr shows a secret")
        if isinstance(said, transfer.Offer):
            sizes = (said.size, said.files, said.total)
            expect(all(0 <= size <= transfer.LARGEST for size in sizes), "a size out of bounds")
            expect(0 < len(said.name) <= transfer.LONGEST_NAME, "a name out of bounds")


@target(BadCheckpoint, seeds=lambda: [each.encode() for each in recorded()], examples=120)
def serialized(data: bytes) -> None:
    """A saved wormhole."""
    try:
        document = json.loads(data)
        json.dumps(document, allow_nan=False)
    except (ValueError, RecursionError):
        return  # an application reads its own JSON
    saved = checkpoint.load(document)
    again = checkpoint.save(saved.relay_url, saved.exchange, saved.pending)
    look_at(saved.exchange)
    check_document(again)


@cache
def _events() -> list[bytes]:
    found = []
    for path in sorted(HISTORIES.glob("*.json")):
        entries = json.loads(path.read_text())["entries"]
        found += [json.dumps(each["event"]).encode() for each in entries if "event" in each]
    return found


@target(BadCheckpoint, seeds=_events, examples=120)
def recorded_events(data: bytes) -> None:
    """An event of a history, or a notice of a checkpoint."""
    try:
        record = json.loads(data)
    except (ValueError, RecursionError):
        return  # those who call have read the JSON
    value = from_json(record)
    expect(to_json(value) == {**record, **to_json(value)}, "a value that is another")
    repr(value)


ACCEPT = b"{ACCEPT}"
"""Stands for the answer to our key."""

_GREETING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
)


def _bytes() -> Iterator[bytes]:
    said = [
        b"\x81\x02{}",
        b"\x01\x01{\x80\x01}",
        b"\x89\x00\x8a\x00",
        b"\x88\x02\x03\xe8",
        b"\x88\x0e\x03\xf3going away..",
        b"\x81\x7e\x00\x80" + b"x" * 128,
        b"\x81\x7f" + (2**40).to_bytes(8, "big"),
        b"\x82\x02\xff\xfe",
    ]
    yield _GREETING
    yield b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello"
    yield b"HTTP/1.1 301 Moved\r\nLocation: ws://elsewhere/\r\n\r\n"
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    for each in said:
        yield _GREETING + each
    yield _GREETING + b"".join(said)


_KINDS = (Opcode.TEXT, Opcode.CONT, Opcode.BINARY, Opcode.PING)


def _in_pieces() -> Iterator[bytes]:
    yield b"@a whole one\n\0a \n\x01message in \nCa ping\nApieces\nBanother"
    yield "\0caf\xe9\nA!".encode()[:5] + b"\nA" + "caf\xe9".encode()[4:]


@target(UnicodeDecodeError, seeds=_in_pieces, examples=80)
def assembled(data: bytes) -> None:
    """Frames in whatever order become messages: all that came for each, and nothing else.

    Each line is a frame: a byte that says of which kind, and whether it is the last of its message,
    and then what it carries.
    """
    messages = Messages()
    came: list[bytes] = []
    for line in data.split(b"\n"):
        number = line[0] if line else 0
        kind, last = _KINDS[number % 4], bool(number & 0x40)
        text = messages.add(Frame(kind, line[1:], fin=last))
        if kind is Opcode.PING or (kind is Opcode.CONT and not came):
            expect(text is None, "a message out of nothing")
            continue
        came = [*came, line[1:]] if kind is Opcode.CONT else [line[1:]]
        expect((text is not None) is last, "a message that is not over, or none at its end")
        if text is not None:
            expect(text.encode() == b"".join(came), "another message than what came")
            came = []


@target(seeds=_bytes, examples=60)
def websocket(data: bytes) -> None:
    """Whatever bytes come over a connection, it ends once, with a reason that can be shown.

    Half of what comes in one piece comes byte by byte instead.
    """
    clock, ear = Clock(), Ear()
    socket = WebSocket(parse_uri(URL), ear, Heartbeat(clock), Intake(clock))
    line = Line(clock, socket)
    line.connect()
    assert line.request is not None
    key = line.request.headers["Sec-WebSocket-Key"].encode()
    digest = sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    line.deaf = True
    whole = data.replace(ACCEPT, b64encode(digest))
    pieces = [whole] if len(data) % 2 else [bytes([each]) for each in whole[:2000]]
    for piece in pieces:
        if line.connected:
            line.raw(piece)
            clock.advance(0)
    for _ in range(20):
        clock.advance(10)
    if line.connected:
        line.break_off()
    clock.advance(10)
    expect(ear.end.reason.isprintable() and len(ear.end.reason) < 400, "a reason that is no line")
    expect(not clock.getDelayedCalls(), "a timer is left behind")
