"""A mailbox server without sockets: order, echo and replay as the real one has them.

What a client must never do to a server fails the test at once: a frame twice on one connection, a
mailbox closed before its nameplate is released, a phase added twice or with other bytes.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from attrs import define, field

from holdfast.core.frames import Frame
from holdfast.rendezvous.wire import write

STRANGER = "stranger00"

ONCE = ("bind", "allocate", "claim", "open", "release", "close")


@define
class Mailbox:
    """Who is in it, who has left it, and what lies in it."""

    sides: set[str] = field(factory=set)
    closed: set[str] = field(factory=set)
    messages: list[tuple[str, str, str]] = field(factory=list)


@define
class Nameplate:
    """Which mailbox it leads to, and who has put a name on it."""

    mailbox: str
    claims: set[str] = field(factory=set)


@define(eq=False)
class Line:
    """One connection: texts on their way up to the server, and down to the client."""

    server: Server
    up: deque[str] = field(factory=deque)
    down: deque[str] = field(factory=deque)
    side: str = ""
    opened: str = ""
    once: set[str] = field(factory=set)

    def send(self, frames: tuple[Frame, ...]) -> None:
        """What the client says."""
        self.up.extend(write(frame, "1234") for frame in frames)

    def say(self, **message: object) -> None:
        """What the server says."""
        self.down.append(json.dumps({**message, "server_tx": 1.5}))


@define(eq=False)
class Server:
    """The server, with faults that a test may ask for.

    Args:
        welcome: what it greets with.
        refusing: the types of frames that it answers with an error, and with nothing else.
        refusal: that error.
        cutting: the types of frames after which it cuts the connection.
        log: every frame that it was given, by whom.
    """

    welcome: dict[str, Any] = field(factory=lambda: {"motd": "hello"})
    refusing: set[str] = field(factory=set)
    cutting: set[str] = field(factory=set)
    refusal: str = "crowded"
    nameplates: dict[str, Nameplate] = field(factory=dict)
    mailboxes: dict[str, Mailbox] = field(factory=dict)
    lines: list[Line] = field(factory=list)
    log: list[tuple[str, dict[str, Any]]] = field(factory=list)
    connections: int = 0
    made: int = 0

    def connect(self) -> Line:
        """Accept a connection."""
        line = Line(self)
        self.lines.append(line)
        self.connections += 1
        line.say(type="welcome", welcome=self.welcome)
        return line

    def hear(self, line: Line) -> None:
        """Take one text that is on its way up."""
        frame = json.loads(line.up.popleft())
        kind = frame["type"]
        self.log.append((line.side or frame.get("side", ""), frame))
        assert kind in ONCE or kind in ("add", "ping", "list"), f"unknown frame {kind}"
        assert kind not in line.once, f"{kind} twice on one connection"
        if kind in ONCE:
            line.once.add(kind)
        assert "bind" in line.once, "bind comes first"
        assert kind != "add" or "open" in line.once, "open comes before add"
        line.say(type="ack", id=frame["id"])
        if kind in self.cutting:
            self.cut(line)
        elif kind in self.refusing or self._impossible(line, kind):
            line.say(type="error", error=self.refusal, orig=frame)
        else:
            getattr(self, f"_{kind}")(line, frame)

    @staticmethod
    def _impossible(line: Line, kind: str) -> bool:
        """Whether something was refused on which this depends."""
        return (kind != "bind" and not line.side) or (kind == "add" and not line.opened)

    def cut(self, line: Line) -> None:
        """The connection is gone, with all that was on its way."""
        if line in self.lines:
            self.lines.remove(line)
        line.up.clear()
        line.down.clear()

    def _bind(self, line: Line, frame: dict[str, Any]) -> None:
        line.side = frame["side"]

    def _ping(self, line: Line, frame: dict[str, Any]) -> None:
        line.say(type="pong", pong=frame["ping"])

    def _list(self, line: Line, frame: dict[str, Any]) -> None:
        line.say(type="nameplates", nameplates=[{"id": name} for name in self.nameplates])

    def forget(self) -> None:
        """Lose everything, and all connections with it."""
        for line in tuple(self.lines):
            self.cut(line)
        self.nameplates.clear()
        self.mailboxes.clear()

    def take(self, name: str) -> str:
        """Let a stranger have this nameplate; return its mailbox."""
        assert name not in self.nameplates
        return self._join(name, STRANGER)

    def _join(self, name: str, side: str) -> str:
        if name not in self.nameplates:
            self.made += 1
            self.nameplates[name] = Nameplate(f"mailbox{self.made}")
        nameplate = self.nameplates[name]
        nameplate.claims.add(side)
        self._enter(nameplate.mailbox, side)
        return nameplate.mailbox

    def _enter(self, name: str, side: str) -> None:
        self.mailboxes.setdefault(name, Mailbox()).sides.add(side)

    def _allocate(self, line: Line, frame: dict[str, Any]) -> None:
        name = next(str(n) for n in range(1, 99) if str(n) not in self.nameplates)
        self._join(name, line.side)
        line.say(type="allocated", nameplate=name)

    def _claim(self, line: Line, frame: dict[str, Any]) -> None:
        line.say(type="claimed", mailbox=self._join(frame["nameplate"], line.side))

    def _open(self, line: Line, frame: dict[str, Any]) -> None:
        line.opened = frame["mailbox"]
        self._enter(line.opened, line.side)
        for message in self.mailboxes[line.opened].messages:
            self._show(line, message)

    def _show(self, line: Line, message: tuple[str, str, str]) -> None:
        side, phase, body = message
        line.say(type="message", side=side, phase=phase, body=body, id="12", server_rx=1.0)

    def _add(self, line: Line, frame: dict[str, Any]) -> None:
        self.put(line.opened, line.side, frame["phase"], frame["body"])

    def put(self, name: str, side: str, phase: str, body: str) -> None:
        """Store a message, and show it to everybody who has the mailbox open."""
        box = self.mailboxes[name]
        assert (side, phase) not in {(s, p) for s, p, _ in box.messages}, f"{phase} added twice"
        box.messages.append((side, phase, body))
        for other in self.lines:
            if other.opened == name:
                self._show(other, box.messages[-1])

    def _release(self, line: Line, frame: dict[str, Any]) -> None:
        nameplate = self.nameplates.get(frame["nameplate"])
        if nameplate is not None:
            nameplate.claims.discard(line.side)
            if not nameplate.claims:
                del self.nameplates[frame["nameplate"]]
        line.say(type="released")

    def _close(self, line: Line, frame: dict[str, Any]) -> None:
        name = frame["mailbox"]
        for nameplate in self.nameplates.values():
            assert nameplate.mailbox != name or line.side not in nameplate.claims, (
                "the mailbox is closed before the nameplate is released"
            )
        box = self.mailboxes.get(name)
        if box is not None:
            box.closed.add(line.side)
            if box.closed >= box.sides:
                del self.mailboxes[name]
                for nameplate in self.nameplates.values():
                    # Also where it leads to some other mailbox.
                    nameplate.claims.discard(line.side)
        line.opened = ""
        line.say(type="closed")

    def lose_allocation(self, line: Line) -> None:
        """Prune what an answer gave that will never be read: nobody can know of it."""
        for text in line.down:
            message = json.loads(text)
            if message["type"] == "allocated":
                lost = self.nameplates.pop(message["nameplate"])
                self.mailboxes.pop(lost.mailbox)
