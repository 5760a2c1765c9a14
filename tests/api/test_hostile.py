"""Hostile servers over a real socket, and hostile peers: each ends in a defined error."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from attrs import define, field
from twisted.internet import reactor as real
from twisted.internet.protocol import Protocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

import holdfast
from holdfast.core.inbox import MOST_EARLY, MOST_LOCKED
from holdfast.core.strict_json import parse
from holdfast.crypto import finish, phase_key, seal, start
from tests.api.world import APPID, CODE, Delegate, Net
from tests.harness import reactor
from tests.rendezvous.reality import Stranger, listening, url

WELCOME: dict[str, Any] = {"type": "welcome", "welcome": {}}
MESSAGE: dict[str, Any] = {"type": "message", "side": "peer", "phase": "pake", "body": "00"}


@define(eq=False)
class Script:
    """What a server says when it hears a frame of a type, and what it greets with."""

    greeting: list[Any] = field(factory=lambda: [WELCOME])
    answers: dict[str, list[Any]] = field(factory=dict)


class Scripted(Stranger):
    """A server that follows a script; text that is no dictionary is sent as it is."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self.script = script
        self.socket: ServerProtocol | None = None
        self.side = ""

    def dataReceived(self, data: bytes) -> None:
        if self.socket is None:
            self.socket = ServerProtocol(max_size=None)
        self.socket.receive_data(data)
        for event in self.socket.events_received():
            if isinstance(event, Request):
                self.socket.send_response(self.socket.accept(event))
                self.flush()
                self.say(self.script.greeting)
            elif event.opcode is Opcode.TEXT:
                frame = json.loads(bytes(event.data))
                self.side = frame.get("side", self.side)
                answers = honest(frame, self.side)
                self.say(self.script.answers.get(frame["type"], answers))
        self.flush()

    def flush(self) -> None:
        assert self.socket is not None
        for data in self.socket.data_to_send():
            if data:
                self.transport.write(data)
            else:
                self.transport.loseConnection()

    def say(self, things: list[Any]) -> None:
        for thing in things:
            raw = thing if isinstance(thing, bytes) else None
            text = thing if isinstance(thing, str) else json.dumps(thing) if raw is None else ""
            data = text.encode() if raw is None else raw
            self.transport.write(Frame(Opcode.TEXT, data).serialize(mask=False))


def honest(frame: dict[str, Any], side: str) -> list[Any]:
    """What an honest server answers to a frame of *side*."""
    kind = frame["type"]
    if kind == "add":
        return [{**frame, "type": "message", "side": side}]
    answers: dict[str, Any] = {
        "allocate": {"type": "allocated", "nameplate": "4"},
        "claim": {"type": "claimed", "mailbox": "m"},
        "release": {"type": "released"},
        "close": {"type": "closed"},
        "ping": {"type": "pong", "pong": 0},
        "list": {"type": "nameplates", "nameplates": []},
    }
    return [answers[kind]] if kind in answers else []


async def outcome(script: Script, patience: str = "close") -> Any:
    """Run a wormhole against the script until it ends; return the error that it ends with."""

    def build() -> Protocol:
        return Scripted(script)

    async with listening(build) as (port, _):
        delegate = Delegate()
        ours = holdfast.create(APPID, url(port), real, delegate=delegate)
        ours.set_code(CODE)
        await reactor.until(lambda: "closed" in delegate.names, f"an end of {script}")
        ended = delegate.got("closed")
        ours.abandon()
        return ended


def run(script: Script) -> Any:
    return reactor.run(lambda: outcome(script))


BAD_FRAMES = [
    "",
    "no JSON",
    "{",
    "null",
    "[]",
    '"text"',
    "{}",
    '{"type": null}',
    '{"type": ["welcome"]}',
    '{"type": "welcome"}',
    '{"type": "welcome", "welcome": []}',
    '{"type": "welcome", "welcome": {"motd": NaN}}',
    '{"type": "welcome", "welcome": {"motd": "' + "x" * 40_000 + '"}}',
    "[" * 100_000,
    '{"type": "welcome", "welcome": ' + '{"a":' * 5000 + "1" + "}" * 5001,
    '{"type": "claimed"}',
    '{"type": "claimed", "mailbox": 4}',
    '{"type": "claimed", "mailbox": ""}',
    '{"type": "claimed", "mailbox": "' + "x" * 300 + '"}',
    '{"type": "allocated", "nameplate": "no number"}',
    '{"type": "allocated", "nameplate": 4}',
    '{"type": "nameplates", "nameplates": 4}',
    '{"type": "error"}',
    '{"type": "error", "error": {}}',
    '{"type": "error", "error": "", "orig": 7}',
]


@pytest.mark.parametrize("text", BAD_FRAMES, ids=range(len(BAD_FRAMES)))
def test_bad_json_and_wrong_types_in_every_field(text: str) -> None:
    """No JSON, no object, a field of another type, depth, size: ServerError."""
    if '"welcome"' in text:
        assert isinstance(run(Script(greeting=[text])), holdfast.ServerError)
    assert isinstance(run(Script(answers={"claim": [text]})), holdfast.ServerError)


HARMLESS = [
    {"type": "no such type", "x": 1},
    {"type": "ack", "id": {"no": "text"}},
    {"type": "message"},
    {"type": "message", "side": 1, "phase": "pake", "body": "00"},
    {"type": "message", "side": "peer", "phase": 5, "body": "00"},
    {"type": "message", "side": "x" * 300, "phase": "pake", "body": "00"},
    {"type": "message", "side": "peer", "phase": "no such phase", "body": "00"},
    {"type": "message", "side": "peer", "phase": "-1", "body": "00"},
    {"type": "nameplates", "nameplates": [None, {"id": 5}, {"id": "\x1b[2J"}]},
    {"type": "released"},
    {"type": "closed"},
    {"type": "claimed", "mailbox": "another"},
    {"type": "allocated", "nameplate": "5"},
    {"type": "pong", "pong": []},
    {"type": "welcome", "welcome": {}},
]


def test_unknown_types_and_answers_that_nobody_asked_for_are_ignored() -> None:
    """All of them at once, and the wormhole still ends as an honest server makes it end."""
    ended = run(Script(answers={"open": [*HARMLESS, {"type": "error", "error": "the end"}]}))
    assert isinstance(ended, holdfast.ServerError)
    assert str(ended) == "the end"


OVERSIZED = b"\x81\x7f" + (2**40).to_bytes(8, "big")


def test_an_oversized_frame_costs_the_connection_and_no_memory() -> None:
    """A frame of a terabyte is refused by its head; the next connection may be better."""
    greetings = iter([[WELCOME, OVERSIZED], [{"type": "welcome", "welcome": {"error": "no"}}]])
    served: list[Any] = []

    class Rude(Scripted):
        def say(self, things: list[Any]) -> None:
            for thing in things:
                if thing is OVERSIZED:
                    self.transport.write(OVERSIZED)
                else:
                    super().say([thing])

    def build() -> Protocol:
        served.append(Rude(Script(greeting=next(greetings))))
        return served[-1]  # type: ignore[no-any-return]

    async def exchange() -> Any:
        async with listening(build) as (port, _):
            delegate = Delegate()
            ours = holdfast.create(APPID, url(port), real, delegate=delegate)
            await reactor.until(lambda: "closed" in delegate.names, "its end")
            ours.abandon()
            return delegate.got("closed")

    assert isinstance(reactor.run(exchange), holdfast.WelcomeError)
    assert len(served) == 2


SCARY_PAKES: list[Any] = [
    "not hex",
    "",
    7,
    None,
    {},
    b"no JSON".hex(),
    b"[]".hex(),
    b'{"pake_v1": 5}'.hex(),
    b'{"pake_v1": "zz"}'.hex(),
    b'{"pake_v1": "5300"}'.hex(),
    (b'{"pake_v1": "53' + b"00" * 32 + b'"}').hex(),
    (b'{"pake_v1": "53' + b"ff" * 32 + b'"}').hex(),
    (b'{"pake_v1": "5301' + b"00" * 31 + b'"}').hex(),
]


@pytest.mark.parametrize("body", SCARY_PAKES, ids=range(len(SCARY_PAKES)))
def test_hex_that_is_not_hex_and_a_pake_that_is_no_point(body: Any) -> None:
    """A first message that no honest peer sends: WrongPasswordError."""
    ended = run(Script(answers={"open": [{**MESSAGE, "body": body}]}))
    assert isinstance(ended, holdfast.WrongPasswordError)


# Hostile peers, in the net.


@define(eq=False)
class Villain:
    """A peer that knows the code, and puts into the mailbox whatever it likes."""

    net: Net
    victim: Any
    side: str = "villain"
    key: bytes = b""
    scalar: bytes = bytes([7]) * 64

    def say(self, phase: Any, body: Any) -> None:
        self.net.network.say("message", side=self.side, phase=phase, body=body)
        self.net.run()

    def agree(self) -> None:
        """Answer their PAKE, honestly."""
        half = start(CODE, APPID, self.scalar)
        frames = [each for each in self.net.network.frames if each.get("phase") == "pake"]
        theirs = bytes.fromhex(json.loads(bytes.fromhex(frames[0]["body"]))["pake_v1"])
        self.key = finish(CODE, APPID, half, theirs)
        self.say("pake", json.dumps({"pake_v1": half.message.hex()}).encode().hex())

    def box(self, phase: str, plaintext: bytes, nonce: int = 0) -> str:
        secret = phase_key(self.key or bytes(32), self.side, phase)
        return seal(secret, plaintext, bytes([nonce]) * 24).hex()

    def send(self, phase: str, plaintext: bytes, nonce: int = 0) -> None:
        self.say(phase, self.box(phase, plaintext, nonce))


@pytest.fixture
def scene(net: Net) -> tuple[Net, Delegate, Villain]:
    """A wormhole that waits in its mailbox, and a villain."""
    delegate = Delegate()
    wormhole = net.create(delegate=delegate)
    wormhole.set_code(CODE)
    net.run()
    return net, delegate, Villain(net, wormhole)


Scene = tuple[Net, Delegate, Villain]


def test_a_pake_reflected(scene: Scene) -> None:
    """Our own first message, under another side: WrongPasswordError."""
    net, delegate, villain = scene
    [ours] = [each for each in net.network.frames if each.get("phase") == "pake"]
    villain.say("pake", ours["body"])
    assert isinstance(delegate.got("closed"), holdfast.WrongPasswordError)
    assert net.network.moods == ["scary"]


def test_a_phase_repeated_with_other_content(scene: Scene) -> None:
    """The first one counts, whatever comes later under its name (BEHAVIOUR 5)."""
    _, delegate, villain = scene
    villain.agree()
    villain.send("version", b"{}")
    villain.send("0", b"first")
    villain.send("0", b"second", nonce=1)
    villain.say("0", "junk")
    villain.say("pake", "junk")
    villain.send("version", b"no JSON", nonce=2)
    assert delegate.messages == [b"first"]
    assert "closed" not in delegate.names


def test_phases_out_of_order(scene: Scene) -> None:
    """They are put in order."""
    _, delegate, villain = scene
    villain.agree()
    for number in (2, 1, 4, 0, 3):
        villain.send(str(number), b"%d" % number)
    assert delegate.messages == [b"0", b"1", b"2", b"3", b"4"]


def test_phases_that_are_never_to_be_next_are_bounded(scene: Scene) -> None:
    """A thousand wait, one more is PeerError; the memory is freed."""
    net, delegate, villain = scene
    villain.agree()
    for number in range(1, MOST_EARLY + 2):
        box = villain.box(str(number), b"x")
        net.network.say("message", side="villain", phase=str(number), body=box)
    net.run()
    assert isinstance(delegate.got("closed"), holdfast.PeerError)


def test_strangers_before_the_key_are_bounded(scene: Scene) -> None:
    """Anybody may write into a mailbox, but not fill our memory."""
    net, delegate, _villain = scene
    for number in range(MOST_LOCKED + 1):
        net.network.say("message", side="x", phase=str(number), body="00" * 50)
    net.run()
    assert isinstance(delegate.got("closed"), holdfast.PeerError)


@pytest.mark.parametrize(
    "plaintext",
    [b"", b"no JSON", b"\xff", b"[]", b"null", b'{"app_versions": 5}', b'{"a":' * 2000],
    ids=range(7),
)
def test_a_version_message_that_is_no_json(scene: Scene, plaintext: bytes) -> None:
    """A peer that proved itself and then breaks the protocol: PeerError, mood "errory"."""
    net, delegate, villain = scene
    villain.agree()
    villain.send("version", plaintext)
    assert isinstance(delegate.got("closed"), holdfast.PeerError)
    assert net.network.moods == ["errory"]


@pytest.mark.parametrize("body", ["", "00", "00" * 24, "00" * 100, "zz", 5, None], ids=str)
@pytest.mark.parametrize("phase", ["version", "0"])
def test_a_message_that_fails_to_decrypt(scene: Scene, phase: str, body: Any) -> None:
    """WrongPasswordError, also after a happy start."""
    _, delegate, villain = scene
    villain.agree()
    if phase == "0":
        villain.send("version", b"{}")
        assert "verifier" in delegate.names
    villain.say(phase, body)
    assert isinstance(delegate.got("closed"), holdfast.WrongPasswordError)


def test_another_sides_name_on_a_message(scene: Scene) -> None:
    """A box that was sealed for one side and comes from another does not decrypt."""
    _, delegate, villain = scene
    villain.agree()
    box = villain.box("version", b"{}")
    villain.side = "other"
    villain.say("version", box)
    assert isinstance(delegate.got("closed"), holdfast.WrongPasswordError)


def test_a_mailbox_replayed_twice(scene: Scene) -> None:
    """Everything comes once more: nobody is told twice."""
    _net, delegate, villain = scene
    said: list[tuple[Any, Any]] = []
    say: Callable[[Any, Any], None] = villain.say

    villain.agree()
    for phase, plaintext in (("version", b"{}"), ("0", b"a"), ("1", b"b")):
        box = villain.box(phase, plaintext)
        said.append((phase, box))
        say(phase, box)
    told = list(delegate.told)
    for _ in range(2):
        for phase, body in said:
            say(phase, body)
    assert delegate.told == told
    assert delegate.messages == [b"a", b"b"]


def test_strict_json_is_what_reads_it() -> None:
    """Numbers that are none, and two keys of one name, have no place in what comes in."""
    for text in ("NaN", "-Infinity", "1" * 5000):
        with pytest.raises(ValueError):
            parse(text)
