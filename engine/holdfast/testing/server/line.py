"""One connection to the model of the mailbox server: which frames it accepts, and when.

Part of the model in `mailbox_server.py`, which says what is odd about it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import define, field

from holdfast.rendezvous.wire import ONLY
from holdfast.testing.server.service import App, Refused, Room, Stumbled
from holdfast.testing.server.tables import Message
from holdfast.testing.server.watch_line import WatchLine

if TYPE_CHECKING:
    from holdfast.testing.server.mailbox_server import MailboxServer

_DIGITS = re.compile(r"^\d+$")


@define(eq=False, repr=False)
class Line:
    """A connection, from the server's point of view."""

    server: MailboxServer
    _deliver: Callable[[str], None]
    _cut: Callable[[], None]
    there: bool = True
    app: App | None = None
    side: Any = None
    nameplate: Any = None
    mailbox: Any = None
    room: Room | None = None
    listening: bool = False
    _done: set[str] = field(factory=set)
    """Which frames were sent, of those that may be sent only once."""
    _answers: list[str] | None = None
    """What is sent when the present work is done."""
    watching: WatchLine | None = None
    """What the connection has to do with watching, once it is bound, if that is offered."""

    def hear(self, text: str) -> None:
        """Take a text from the client, and answer it."""
        if not self.there:
            return
        self.server.catch_up()
        answers: list[str] = []
        self._answers = answers
        try:
            self._take(text)
        except Stumbled:
            self.break_off()
            return
        finally:
            self._answers = None
        for answer in answers:
            self._deliver(answer)
        self.server.tell()

    def say(self, kind: str, **fields: object) -> None:
        """Tell the client, once the present work is done."""
        text = json.dumps({**fields, "type": kind, "server_tx": self.server.now()})
        if self._answers is None:
            self._deliver(text)
        else:
            self._answers.append(text)

    def gone(self) -> None:
        """Note that the client has gone; until then the connection counts as open."""
        if self.there:
            self.server.catch_up()
            self._end()

    def break_off(self) -> None:
        """Cut the connection."""
        self._end()
        self._cut()

    def _end(self) -> None:
        self.there = False
        self.server.lines.remove(self)
        self._stop_listening()

    def _stop_listening(self) -> None:
        if self.room is not None and self.listening:
            self.room.listeners.pop(self, None)
        self.listening = False

    def _take(self, text: str) -> None:
        try:
            frame = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Stumbled from error
        if not isinstance(frame, dict):
            raise Stumbled
        try:
            if "type" not in frame:
                raise Refused("missing 'type'")
            if self.watching is not None and self.watching.hear(frame, self.server.now()):
                return
            self.say("ack", id=frame.get("id"))
            self._do(frame["type"], frame)
        except Refused as refused:
            self.say("error", error=str(refused), orig=frame)

    def _do(self, kind: object, frame: dict[str, Any]) -> None:
        if kind == "ping":
            self._ping(frame)
        elif kind == "bind":
            self._bind(frame)
        elif self.app is None:
            raise Refused("must bind first")
        elif kind == "list":
            names, only = self.server.service.names(self.app), frame.get(ONLY)
            if self.server.watched and isinstance(only, str) and only and only.isprintable():
                names = [name for name in names if name == only]
            self.say("nameplates", nameplates=[{"id": name} for name in names])
        elif kind == "allocate":
            self._allocate(self.app)
        elif kind == "claim":
            self._claim(self.app, frame)
        elif kind == "release":
            self._release(self.app, frame)
        elif kind == "open":
            self._open(self.app, frame)
        elif kind == "add":
            self._add(self.app, frame)
        elif kind == "close":
            self._close(self.app, frame)
        else:
            raise Refused("unknown type")

    def _once(self, kind: str, error: str) -> None:
        if kind in self._done:
            raise Refused(error)

    def _ping(self, frame: dict[str, Any]) -> None:
        _require("ping" in frame, "ping requires 'ping'")
        self.say("pong", pong=frame["ping"])

    def _bind(self, frame: dict[str, Any]) -> None:
        _require(self.app is None, "already bound")
        _require("appid" in frame, "bind requires 'appid'")
        _require("side" in frame, "bind requires 'side'")
        if not isinstance(frame["appid"], str):
            raise Stumbled
        version = frame.get("client_version", [None, None])
        # Anything with a first and a second item: a string of two letters has them too.
        if not isinstance(version, list | str) or len(version) < 2:
            raise Stumbled
        self.app, self.side = self.server.service.app(frame["appid"]), frame["side"]
        if self.server.watched:
            tables = self.server.service.tables
            self.watching = WatchLine(tables, self.server.watched, self.app.name, self.say)

    def _allocate(self, app: App) -> None:
        self._once("allocate", "you already allocated one, don't be greedy")
        name = self.server.service.allocate(app, self.side, self.server.now())
        self._done.add("allocate")
        self.say("allocated", nameplate=name)

    def _claim(self, app: App, frame: dict[str, Any]) -> None:
        _require("nameplate" in frame, "claim requires 'nameplate'")
        self._once("claim", "only one claim per connection")
        self._done.add("claim")
        name = frame["nameplate"]
        if not isinstance(name, str) or len(name) > 40 or not _DIGITS.search(name):
            raise Stumbled
        self.nameplate = name
        mailbox = self.server.service.claim(app, name, self.side, self.server.now())
        self.say("claimed", mailbox=mailbox)

    def _release(self, app: App, frame: dict[str, Any]) -> None:
        self._once("release", "only one release per connection")
        name = self._same(frame, "nameplate", self.nameplate, "release", "claim")
        self._done.add("release")
        self.server.service.release(app, name, self.side)
        self.say("released")

    def _open(self, app: App, frame: dict[str, Any]) -> None:
        _require(self.room is None, "only one open per connection")
        _require("mailbox" in frame, "open requires 'mailbox'")
        self.mailbox = frame["mailbox"]
        service = self.server.service
        self.room = service.open(app, self.mailbox, self.side, self.server.now())
        self.listening = True
        service.listen(self.room, self)

    def _add(self, app: App, frame: dict[str, Any]) -> None:
        if self.room is None:
            raise Refused("must open mailbox before adding")
        _require("phase" in frame, "missing 'phase'")
        _require("body" in frame, "missing 'body'")
        what = (frame["phase"], frame["body"], self.server.now(), frame.get("id"))
        message = Message(app.name, self.room.name, self.side, *what)
        self.server.service.add(self.room, message)

    def _close(self, app: App, frame: dict[str, Any]) -> None:
        self._once("close", "only one close per connection")
        name = self._same(frame, "mailbox", self.mailbox, "close", "open")
        service = self.server.service
        if self.room is None:
            self.room = service.open(app, name, self.side, self.server.now())
        self._stop_listening()
        self._done.add("close")
        service.close(self.room, self.side, frame.get("mood"))
        self.room = None
        self.say("closed")

    def _same(self, frame: dict[str, Any], key: str, ours: Any, undo: str, do: str) -> Any:
        """What a frame names; if this connection has named one before, it must be the same."""
        if key not in frame:
            _require(ours is not None, f"{undo} without {key} must follow {do}")
            return ours
        if ours is not None and frame[key] != ours:
            both = "open and close" if key == "mailbox" else "release and claim"
            raise Refused(f"{both} must use same {key}")
        return frame[key]


def _require(there: object, error: str) -> None:
    if not there:
        raise Refused(error)
