"""What the mailbox server does for one side of an application, without connections and time.

Part of the model in `mailbox_server.py`, which says what is odd about it.
"""

from __future__ import annotations

from base64 import b32encode
from random import Random
from typing import Protocol

from attrs import define, field

from holdfast.testing.server.tables import Mailbox, Message, Nameplate, Tables, column


class Refused(Exception):
    """The answer is this error, and the connection stays open."""


class Stumbled(Exception):
    """The connection is cut without a word. Uncommitted changes stay."""


class Listener(Protocol):
    """A connection."""

    def say(self, kind: str, **fields: object) -> None:
        """Send a frame to the connection's client."""


@define(eq=False, repr=False)
class App:
    """What the server keeps in memory of an application: the mailboxes opened since it started."""

    name: str
    rooms: dict[str, Room] = field(factory=dict)


@define(eq=False, repr=False)
class Room:
    """A mailbox in memory: the connections that hear of its messages, in their order of arrival."""

    app: App
    name: str
    listeners: dict[Listener, None] = field(factory=dict)


@define(eq=False, repr=False)
class Service:
    """The work. Every method may raise Stumbled; methods that may raise Refused say so."""

    random: Random
    tables: Tables = field(factory=Tables)
    apps: dict[str, App] = field(factory=dict)

    def app(self, name: str) -> App:
        """Return an application, which is made if it does not exist."""
        if name not in self.apps:
            self.apps[name] = App(name)
        return self.apps[name]

    def names(self, app: App) -> list[str]:
        """The nameplates that are taken, in order."""
        return self.tables.names(_storable(app.name))

    def allocate(self, app: App, side: object, now: float) -> str:
        """Claim a free nameplate, as short as possible."""
        name = self._free(set(self.names(app)))
        self.claim(app, name, side, now)
        return name

    def _free(self, taken: set[str]) -> str:
        for first in (1, 10, 100):
            free = [str(n) for n in range(first, 10 * first) if str(n) not in taken]
            if free:
                return self.random.choice(free)
        for _ in range(1000):
            name = str(self.random.randrange(1000, 1000 * 1000))
            if name not in taken:
                return name
        raise Stumbled

    def claim(self, app: App, name: str, side: object, now: float) -> str:
        """Claim a nameplate, and return the name of its mailbox.

        Raises:
            Refused: the side has released it, or is one too many.
        """
        _string(side)
        row = self.tables.nameplates.get((_storable(app.name), name))
        if row is None:
            mailbox = b32encode(self.random.randbytes(8)).lower().strip(b"=").decode()
            self.tables.add_mailbox(Mailbox(app.name, mailbox, now, nameplate=name))
            row = Nameplate(app.name, name, mailbox)
            self.tables.add_nameplate(row)
        if not row.sides.setdefault(_storable(side), True):
            raise Refused("reclaimed")
        self.tables.commit()
        self.open(app, row.mailbox, side, now)
        if len(row.sides) > 2:
            raise Refused("crowded")
        return row.mailbox

    def release(self, app: App, name: object, side: object) -> None:
        """Release a nameplate, which is free once all sides that claimed it have released it."""
        _string(side)
        row = self.tables.nameplates.get((_storable(app.name), _storable(name)))
        if row is None or _storable(side) not in row.sides:
            return
        row.sides[_storable(side)] = False
        if not any(row.sides.values()):
            del self.tables.nameplates[row.app, row.name]
        self.tables.commit()

    def open(self, app: App, name: object, side: object, now: float) -> Room:
        """Open a mailbox, which is made if it does not exist.

        Raises:
            Refused: the side is one too many; it is stored anyway.
        """
        mailbox = _storable(name)
        row = self.tables.mailboxes.get(mailbox)
        if row is None:
            row = Mailbox(_storable(app.name), mailbox, now)
            self.tables.add_mailbox(row)
        elif row.app != app.name:
            raise Stumbled
        if mailbox not in app.rooms:
            app.rooms[mailbox] = Room(app, mailbox)
        row.sides.setdefault(_storable(side), True)
        row.updated = now
        self.tables.commit()
        if len(row.sides) > 2:
            raise Refused("crowded")
        return app.rooms[mailbox]

    def listen(self, room: Room, listener: Listener) -> None:
        """Replay everything that is stored, and tell the listener of what comes."""
        room.listeners[listener] = None
        for message in self.tables.messages.get(room.name, ()):
            if message.app == room.app.name:
                listener.say("message", **message.fields)

    def add(self, room: Room, message: Message) -> None:
        """Store a message, and tell all listeners."""
        try:
            self.tables.add_message(message.stored())
        except ValueError as error:
            raise Stumbled from error
        for listener in room.listeners:
            listener.say("message", **message.fields)

    def close(self, room: Room, side: str, mood: object) -> None:
        """Close a mailbox, which is deleted once all its sides have closed it."""
        row = self.tables.mailboxes.get(room.name)
        if row is None or row.app != room.app.name or side not in row.sides:
            return
        _value(mood)
        row.sides[side] = False
        self.tables.watches.end((row.name, side))
        self.tables.commit()
        if any(row.sides.values()):
            return
        self.tables.forget_side(side)
        nameplate = self.tables.leading_to(row)
        if nameplate is not None and nameplate.sides:
            raise Stumbled
        self.tables.drop_mailbox(row)
        room.listeners.clear()
        room.app.rooms.pop(room.name, None)

    def sweep(self, now: float, expiry: float) -> None:
        """Forget the mailboxes that were not touched for `expiry` seconds and are not open."""
        for app in [self.app(name) for name in self.tables.apps]:
            for room in app.rooms.values():
                if room.listeners:
                    self.tables.touch(room.name, now)
            self.tables.commit()
            rows = [row for row in self.tables.mailboxes.values() if row.app == app.name]
            for row in rows:
                if row.updated <= now - expiry:
                    self.tables.drop_mailbox(row)
            if not app.rooms:
                del self.apps[app.name]

    def die(self) -> None:
        """Lose what is in memory."""
        self.apps.clear()
        self.tables.roll_back()


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise Stumbled
    return value


def _storable(value: object) -> str:
    _value(_string(value))
    return _string(value)


def _value(value: object) -> None:
    try:
        column(value)
    except ValueError as error:
        raise Stumbled from error
