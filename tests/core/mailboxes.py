"""The mailbox server of `holdfast.testing`, with what is on its way to it and back, step by step.

What a client must never do to a server fails the test at once: a frame twice on one connection, a
mailbox closed before its nameplate is released, a phase added twice or with other bytes.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from attrs import define, field, frozen

from holdfast.core.frames import Frame
from holdfast.rendezvous.wire import write
from holdfast.testing import server as model

APPID = "example.com/holdfast-test"

STRANGER = "stranger00"

ONCE = ("bind", "allocate", "claim", "open", "release", "close")


@frozen
class Nameplate:
    """Which mailbox it leads to, and who holds it."""

    mailbox: str
    claims: set[str]


@frozen
class Mailbox:
    """Who is or was in it, who has left it, and what lies in it, by side, phase and body."""

    sides: set[str]
    closed: set[str]
    messages: list[tuple[str, str, str]]


def _who(sides: dict[str, bool], holds: bool = True) -> set[str]:
    return {side for side, held in sides.items() if held is holds}


@define(eq=False)
class Line:
    """One connection: texts on their way up to the server, and down to the client."""

    server: Server
    up: deque[str] = field(factory=deque)
    down: deque[str] = field(factory=deque)
    once: set[str] = field(factory=set)
    there: model.Line = field(init=False)
    """The server's end."""

    def __attrs_post_init__(self) -> None:
        self.there = self.server.model.connect(self.down.append, self._cut)

    def _cut(self) -> None:
        self.server.cut(self)

    def send(self, frames: tuple[Frame, ...]) -> None:
        """What the client says."""
        self.up.extend(write(frame, "1234") for frame in frames)


@define(eq=False)
class Server:
    """The server, with faults that a test may ask for.

    Args:
        refusing: the types of frames that it answers with an error, and with nothing else.
        refusal: that error.
        cutting: the types of frames after which it cuts the connection.
        log: every frame that it was given, by whom.
    """

    refusing: set[str] = field(factory=set)
    cutting: set[str] = field(factory=set)
    refusal: str = "crowded"
    model: model.MailboxServer = field(factory=lambda: model.MailboxServer(lambda: 0.0))
    lines: list[Line] = field(factory=list)
    log: list[tuple[str, dict[str, Any]]] = field(factory=list)

    @property
    def nameplates(self) -> dict[str, Nameplate]:
        rows = self.model.tables().nameplates.values()
        return {row.name: Nameplate(row.mailbox, _who(row.sides)) for row in rows}

    @property
    def mailboxes(self) -> dict[str, Mailbox]:
        tables, found = self.model.tables(), {}
        for name, row in tables.mailboxes.items():
            there = tables.messages.get(name, ())
            messages = [(each.side, str(each.phase), str(each.body)) for each in there]
            found[name] = Mailbox(set(row.sides), _who(row.sides, False), messages)
        return found

    def connect(self) -> Line:
        """Accept a connection."""
        line = Line(self)
        self.lines.append(line)
        return line

    def hear(self, line: Line) -> None:
        """Take one text that is on its way up."""
        text = line.up.popleft()
        frame = json.loads(text)
        kind = frame["type"]
        side = line.there.side or frame.get("side", "")
        self.log.append((side, frame))
        assert kind in ONCE or kind in ("add", "ping", "list"), f"unknown frame {kind}"
        assert kind not in line.once, f"{kind} twice on one connection"
        if kind in ONCE:
            line.once.add(kind)
        assert "bind" in line.once, "bind comes first"
        assert kind != "add" or "open" in line.once, "open comes before add"
        if kind in self.cutting:
            self.cut(line)
        elif kind in self.refusing:
            line.there.say("error", error=self.refusal, orig=frame)
        else:
            if kind == "add" and line.there.room is not None:
                there = self.model.tables().messages.get(line.there.mailbox, ())
                ours = {each.phase for each in there if each.side == side}
                assert frame["phase"] not in ours, f"{frame['phase']} added twice"
            if kind == "close":
                for nameplate in self.nameplates.values():
                    assert nameplate.mailbox != frame["mailbox"] or side not in nameplate.claims, (
                        "the mailbox is closed before the nameplate is released"
                    )
            line.there.hear(text)

    def cut(self, line: Line) -> None:
        """The connection is gone, with all that was on its way."""
        if line in self.lines:
            self.lines.remove(line)
        line.there.gone()
        line.up.clear()
        line.down.clear()

    def forget(self) -> None:
        """Lose everything, and all connections with it."""
        self.model.restart(forget=True)

    def take(self, name: str) -> str:
        """Let a stranger have this nameplate; return its mailbox."""
        assert name not in self.nameplates
        heard = self.say(STRANGER, {"type": "claim", "nameplate": name})
        return str(heard[-1]["mailbox"])

    def put(self, mailbox: str, side: str, phase: str, body: str) -> None:
        """Have somebody store a message."""
        add = {"type": "add", "phase": phase, "body": body}
        self.say(side, {"type": "open", "mailbox": mailbox}, add)

    def say(self, side: str, *frames: dict[str, str]) -> list[dict[str, Any]]:
        """Have somebody say this on a connection of their own; return what they heard."""
        heard: list[str] = []
        line = self.model.connect(heard.append, lambda: None)
        for frame in ({"type": "bind", "appid": APPID, "side": side}, *frames):
            line.hear(json.dumps(frame))
        line.gone()
        return [json.loads(text) for text in heard]

    def lose_allocation(self, line: Line) -> None:
        """Prune what an answer gave that will never be read: nobody can know of it."""
        tables = self.model.tables()
        for text in line.down:
            message = json.loads(text)
            if message["type"] == "allocated":
                lost = tables.nameplates[APPID, message["nameplate"]]
                tables.drop_mailbox(tables.mailboxes[lost.mailbox])
