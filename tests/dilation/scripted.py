"""A peer that has the key and follows a test's script, in the mailbox and on sockets in memory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from attrs import define, field
from twisted.internet.address import IPv4Address
from twisted.internet.protocol import Factory, Protocol

from holdfast.core import events as ev
from holdfast.crypto import derive
from holdfast.dilation.frames import Frames, frame
from holdfast.dilation.greeting import NoiseGreeting
from holdfast.dilation.records import Ack, Close, Data, Open, Ping, Pong, Record, read, write
from holdfast.shell.dilating import PURPOSE
from holdfast.transit.handshake import Effects, Ready, Send, Won
from holdfast_journal import Journal
from tests.api.world import CODE, Delegate
from tests.dilation.world import Made, World


class Line(Protocol):
    """A socket of the peer's.

    Args:
        greeting: is gone through, unless the script stops it; None to say nothing by itself.
        choose: whether it goes through to the end; else a leader does not say its own KCM.
    """

    transport: Any

    def __init__(self, greeting: NoiseGreeting | None = None, *, choose: bool = True) -> None:
        self.greeting = greeting
        self.choose = choose
        self.lost = False
        self.raw = bytearray()
        """What came, if there is no greeting."""
        self.said = bytearray()
        """What was said as a greeting."""
        self.last = b""
        """What came last."""
        self.records: list[Record] = []
        """What came after it."""
        self.answers = True
        """Whether it acknowledges records and answers pings."""
        self._frames: Frames | None = None

    def connectionMade(self) -> None:
        if self.greeting is not None:
            self._carry_out(self.greeting.begin())

    def dataReceived(self, data: bytes) -> None:
        if self.greeting is None:
            self.raw += data
        elif self._frames is None:
            self._carry_out(self.greeting.hear(data))
        else:
            self.last = data
            self._read(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True

    @property
    def is_won(self) -> bool:
        """Whether records may be said."""
        return self._frames is not None

    def say(self, *records: Record | bytes) -> bytes:
        """Say these, each in a frame of its own; return the frames."""
        frames = b"".join(map(self.frame, records))
        self.transport.write(frames)
        return frames

    def frame(self, record: Record | bytes) -> bytes:
        """The next frame, with this in it."""
        return frame(self._ciphers[0], record if isinstance(record, bytes) else write(record))

    def count(self, kind: type) -> int:
        """How many of that kind have come."""
        return Counter(map(type, self.records))[kind]

    @property
    def acked(self) -> int:
        """The highest number that was acknowledged, or -1."""
        return max((each.seq for each in self.records if isinstance(each, Ack)), default=-1)

    @property
    def _ciphers(self) -> Any:
        assert self.greeting is not None
        return self.greeting.ciphers

    def _carry_out(self, effects: Effects) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self.said += effect.data
                self.transport.write(effect.data)
            elif isinstance(effect, Ready) and self.choose:
                assert self.greeting is not None
                self._carry_out(self.greeting.choose())
            elif isinstance(effect, Won):
                self._frames = Frames(self._ciphers[1])
                self._read(effect.leftover)

    def _read(self, data: bytes) -> None:
        assert self._frames is not None
        for plaintext in self._frames.feed(data):
            record = read(plaintext)
            self.records.append(record)
            if not self.answers:
                continue
            if isinstance(record, Open | Data | Close):
                self.say(Ack(record.seq))
            elif isinstance(record, Ping):
                self.say(Pong(record.id))


class Silent:
    """What the wormhole's shell sees of the peer's dilation."""

    is_closing = is_gone = is_to_begin = is_unsaved = False

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def met(self) -> None:
        """Nothing: the script says `please`."""

    def heard(self, body: bytes) -> None:
        self._peer.heard.append(json.loads(body))

    def leave_entry(self) -> str:
        return ""

    def close(self) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


@define(eq=False)
class Peer:
    """The other side of one wormhole of ours, which is honest and dilated.

    Args:
        leads: whether the peer does.
        options: of our `dilate`.
        stored: whether ours is saved with each commit.
    """

    leads: bool = False
    options: dict[str, Any] = field(factory=dict)
    stored: bool = False
    world: World = field(factory=World)
    ours: Any = field(init=False)
    theirs: Any = field(init=False)
    dilated: Any = field(init=False)
    delegate: Delegate = field(init=False)
    document: str = field(init=False)
    listening: Made = field(factory=Made)
    heard: list[dict[str, Any]] = field(factory=list)
    """What ours has said in the mailbox's phases."""
    lines: int = 0
    next: int = 0
    """The number of the next record, if the peer counts right."""

    def __attrs_post_init__(self) -> None:
        self.document = ""
        self.delegate = Delegate()
        if self.stored:
            journal = Journal(self._save)
            self.ours = self.world.create(delegate=self.delegate, journal=journal, dilation=True)
        else:
            self.ours = self.world.create()
        self.theirs = self.world.create(dilation=True)
        self._happening.dilation = Silent(self)
        self._happening.enter(lambda: self._happening.react(ev.Dilate()))
        self.dilated = self.ours.dilate(**self.options)
        self.dilated.listener_for("name").listen(self.listening)
        self.ours.set_code(CODE)
        self.theirs.set_code(CODE)
        self.run()

    # In the mailbox.

    def say(self, body: bytes | dict[str, Any]) -> None:
        """Say this in the next phase `dilate-N`."""
        plaintext = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._happening.within(lambda: self._happening.react(ev.SendDilation(plaintext)))

    def please(self) -> None:
        """Agree to dilate."""
        self.say({"type": "please", "side": self.side, "use-version": "ged"})
        self.run()

    @property
    def side(self) -> str:
        return ("f" if self.leads else "0") * 16

    def said(self, kind: str) -> int:
        """How often ours has said that."""
        return sum(each["type"] == kind for each in self.heard)

    def run(self, seconds: float = 0) -> None:
        self.world.run(seconds)

    # On sockets.

    @property
    def key(self) -> bytes:
        return derive(self._happening.exchange.shared_key, PURPOSE, 32)

    def greeting(self, **changes: Any) -> NoiseGreeting:
        """Another handshake of the peer's."""
        self.lines += 1
        with_all = {"key": self.key, "leader": self.leads, **changes}
        ephemeral = self.lines.to_bytes(32, "big")
        return NoiseGreeting(with_all.pop("key"), ephemeral=ephemeral, **with_all)

    def connect(self, line: Line) -> Line:
        """Connect `line` to where ours listens."""
        [port] = self.world.sockets.ports
        self.world.sockets.connect("192.0.2.1", port, _Factory(line))
        self.run()
        return line

    def connected(self) -> Line:
        """A connection that ours has chosen, without a record so far."""
        if not self.said("connection-hints"):
            self.please()
        line = self.connect(Line(self.greeting()))
        assert line.is_won
        return line

    def again(self, line: Line) -> Line:
        """Agree to another connection, because that one is lost, and make it."""
        assert line.lost
        self.run(70)
        self.say({"type": "reconnect" if self.leads else "reconnecting"})
        self.run()
        return self.connected()

    def opened(self, line: Line, number: int | None = None) -> int:
        """Open a channel that ours listens for; return its number."""
        number = number or (1 if self.leads else 2)
        line.say(Open(number, self.next, "name"))
        self.next += 1
        self.run(1)
        return number

    # Ours.

    @property
    def inner(self) -> Any:
        """The driver of ours."""
        return self.happening.dilation._dilation

    @property
    def happening(self) -> Any:
        """The inner part of ours."""
        return (self.ours if self.stored else self.ours._inner)._happening

    @property
    def ledger(self) -> Any:
        return self.inner._ledger

    def goes_on(self, line: Line) -> None:
        """Messages and records go both ways, over another connection if that one is lost."""
        if line.lost:
            line = self.again(line)
        channel = self.listening.made[-1] if self.listening.made else None
        if channel is None or channel.told[-1] == "ConnectionDone":
            self.opened(line, 90 + (1 if self.leads else 2))
            channel = self.listening.made[-1]
        number, before = channel.transport.channel.number, len(channel.data)
        line.say(Data(number, self.next, b"there"))
        self.next += 1
        channel.transport.write(b"and back")
        self.run(20)
        assert channel.data[before:] == [b"there"]
        assert [each.data for each in line.records if isinstance(each, Data)][-1] == b"and back"
        assert line.acked == self.next - 1
        self.messages_go_on()

    def messages_go_on(self) -> None:
        """The peer sends a message, and ours gets it."""
        self.theirs.send_message(b"a message")
        self.run()
        if self.stored:
            assert self.delegate.messages.pop() == b"a message"
        else:
            assert self.world.result(self.ours.get_message()) == b"a message"

    def _save(self) -> None:
        if hasattr(self, "ours"):
            self.document = json.dumps(self.ours.serialize())

    @property
    def _happening(self) -> Any:
        return self.theirs._inner._happening


class _Factory(Factory):
    def __init__(self, line: Line) -> None:
        self._line = line

    def buildProtocol(self, addr: IPv4Address | None) -> Line:  # type: ignore[override]
        return self._line


def numbered(first: int, records: Iterable[tuple[Any, ...]]) -> list[Record]:
    """Records from tuples `(kind, channel, rest...)`, with numbers from `first`."""
    return [kind(scid, first + at, *rest) for at, (kind, scid, *rest) in enumerate(records)]
