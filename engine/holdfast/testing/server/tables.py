"""What a mailbox server keeps on its disk, and which of it is not committed yet.

The real server has one SQLite connection for all clients, and reads through it what it has not
committed. When it stumbles half-way through a command, the changes made so far stay, and the next
commit, caused by any client, makes them durable. They are lost only if the server dies before.
"""

import math
from bisect import insort
from collections.abc import Callable
from functools import partial

from attrs import define, field, frozen

from holdfast.testing.server.watching import Watches


@define(eq=False)
class Nameplate:
    """A nameplate, and which side holds it (True) or has released it (False)."""

    app: str
    name: str
    mailbox: str
    sides: dict[str, bool] = field(factory=dict)


@define(eq=False)
class Mailbox:
    """A mailbox, when it was last touched, and which side has it open (True) or closed it."""

    app: str
    name: str
    updated: float
    nameplate: str | None = None
    """The nameplate that it was made for."""
    sides: dict[str, bool] = field(factory=dict)


@frozen
class Message:
    """A message; `phase`, `body` and `id` are as given, and strings once it is stored."""

    app: str
    mailbox: str
    side: str
    phase: object
    body: object
    at: float
    id: object

    @property
    def fields(self) -> dict[str, object]:
        """The fields of the frame that tells a client of it."""
        told = {"side": self.side, "phase": self.phase, "body": self.body}
        return told | {"server_rx": self.at, "id": self.id}

    def stored(self) -> "Message":
        """The message as the database stores it.

        Raises:
            ValueError: the database refuses it.
        """
        phase, body, id_ = column(self.phase), column(self.body), column(self.id)
        at = int(self.at) if float(self.at).is_integer() else self.at
        return Message(self.app, self.mailbox, self.side, phase, body, at, id_)


@define(eq=False, repr=False)
class Tables:
    """All rows, with a way back to the last commit."""

    nameplates: dict[tuple[str, str], Nameplate] = field(factory=dict)
    """By application and name."""
    mailboxes: dict[str, Mailbox] = field(factory=dict)
    messages: dict[str, list[Message]] = field(factory=dict)
    """By mailbox, in the order of the server's clock.

    The mailbox need not be there: it may have gone under a connection that still adds.
    """
    watches: Watches = field(factory=Watches)
    """What `holdfast mailbox` has besides."""
    _undo: list[Callable[[], object]] = field(factory=list)

    @property
    def empty(self) -> bool:
        """Whether there are no rows."""
        return not (self.nameplates or self.mailboxes or self.messages)

    @property
    def apps(self) -> list[str]:
        """All applications that have rows here, in order."""
        found = {row.app for row in self.nameplates.values()}
        found |= {row.app for row in self.mailboxes.values()}
        found |= {message.app for stored in self.messages.values() for message in stored}
        return sorted(found)

    def names(self, app: str) -> list[str]:
        """The nameplates of an application, in order."""
        return sorted(row.name for row in self.nameplates.values() if row.app == app)

    def commit(self) -> None:
        """Keep the changes made since the last commit."""
        self._undo.clear()

    def roll_back(self) -> None:
        """Undo what was not committed."""
        while self._undo:
            self._undo.pop()()

    # These can be undone.

    def add_nameplate(self, row: Nameplate) -> None:
        """Add a nameplate."""
        self.nameplates[row.app, row.name] = row
        self._undo.append(lambda: self.nameplates.pop((row.app, row.name)))

    def add_mailbox(self, row: Mailbox) -> None:
        """Add a mailbox."""
        self.mailboxes[row.name] = row
        self._undo.append(lambda: self.mailboxes.pop(row.name))

    def forget_side(self, side: str) -> None:
        """Drop a side from all nameplates."""
        for row in self.nameplates.values():
            if side in row.sides:
                held = row.sides.pop(side)
                self._undo.append(partial(row.sides.setdefault, side, held))

    # These are committed at once.

    def add_message(self, message: Message) -> None:
        """Add a message, and touch its mailbox."""
        stored = self.messages.setdefault(message.mailbox, [])
        insort(stored, message, key=lambda each: each.at)
        self.watches.came(message.mailbox, message.side)
        self.touch(message.mailbox, message.at)
        self.commit()

    def touch(self, mailbox: str, at: float) -> None:
        """Note that a mailbox was used, if it exists."""
        if mailbox in self.mailboxes:
            self.mailboxes[mailbox].updated = at

    def keep_watched(self, old: float) -> None:
        """Touch what is watched, as of when its watcher was last there."""
        for row in self.mailboxes.values():
            seen = [self.watches.seen((row.name, side)) for side in row.sides]
            if row.updated <= old < max(seen, default=old):
                row.updated = max(seen)

    def drop_mailbox(self, row: Mailbox) -> None:
        """Drop a mailbox, the messages in it, and the nameplate that leads to it."""
        nameplate = self.leading_to(row)
        if nameplate is not None:
            del self.nameplates[nameplate.app, nameplate.name]
        self.messages.pop(row.name, None)
        del self.mailboxes[row.name]
        self.watches.came(row.name)
        self.commit()

    def leading_to(self, row: Mailbox) -> Nameplate | None:
        """The nameplate that leads to a mailbox."""
        found = None if row.nameplate is None else self.nameplates.get((row.app, row.nameplate))
        return found if found is not None and found.mailbox == row.name else None


def column(value: object) -> str | None:
    """What a column for strings makes of a JSON value.

    Raises:
        ValueError: SQLite does not accept such a value.
    """
    if value is None:
        return None
    if isinstance(value, str):
        value.encode()  # half of a surrogate pair cannot be encoded: that error is a ValueError too
        return value
    if isinstance(value, float):
        return _float(value)
    if not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise ValueError("no value for a database")
    return str(int(value))


def _float(value: float) -> str | None:
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    digits, e, exponent = f"{value + 0.0:.15g}".partition("e")
    return f"{digits}{'' if '.' in digits else '.0'}{e}{exponent}"
