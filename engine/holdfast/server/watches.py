"""Watching: a client hears of what comes for mailboxes that it does not have open.

The extension that docs/watching.md describes: "Frames", "Order", "What is durable when".
"""

import hashlib
import sqlite3
from collections.abc import Iterable
from typing import Any, Final, Protocol

from attrs import define, field

from holdfast.server.turn import Turn
from holdfast.server.watch_frames import BATCH, Wanted
from holdfast.server.watch_tables import CAME, TELL

UNACKNOWLEDGED: Final = 10 * BATCH
"""How many arrivals a watcher is told of, at most, before it acknowledges some."""

_FIND: Final = """SELECT
    (SELECT count(*) FROM mailbox_sides WHERE mailbox_id = m.id) AS sides,
    (SELECT count(*) FROM messages
        WHERE mailbox_id = m.id AND app_id = m.app_id AND side <> ?) AS others
    FROM mailboxes AS m WHERE m.id = ? AND m.app_id = ?
    AND EXISTS (SELECT 1 FROM mailbox_sides WHERE mailbox_id = m.id AND side = ?)"""

_MOST_SIDES: Final = 2


class TooMany(Exception):
    """A watcher wants to watch more than it may."""


class Says(Protocol):
    """How a client is told something."""

    def __call__(self, kind: str, /, **fields: Any) -> object:
        """Send a frame, once the turn is committed."""


@define(eq=False)
class Watcher:
    """A connection on which somebody watches; made by `Watches.begin`."""

    id: int
    app: str
    say: Says = field(repr=False)
    told: int = 0
    """The number of the last arrival that was told on this connection."""


@define(eq=False)
class Watches:
    """All watchers, and what they are to be told. Every method raises sqlite3.Error.

    `most` is how many mailboxes one watcher may watch.
    """

    turn: Turn
    most: int
    _here: dict[int, set[Watcher]] = field(factory=dict, repr=False)
    _stirred: set[int] = field(factory=set, repr=False)
    """Watchers for which something has come in this turn."""

    @classmethod
    def on(cls, connection: sqlite3.Connection, turn: Turn, most: int) -> "Watches":
        """Those of the database that `connection` has open and `turn` writes."""
        new = cls(turn, most)
        connection.create_function(CAME, 1, new._stirred.add)
        connection.execute(TELL)
        turn.before_commit = new.tell
        return new

    def begin(self, app: str, name: str, say: Says, now: float) -> Watcher:
        """Begin to watch on a connection; what was not acknowledged is told again."""
        key = app, hashlib.sha256(name.encode()).digest()
        self.turn.execute(
            "INSERT INTO holdfast_watchers (app_id, name, seen) VALUES (?, ?, ?)"
            " ON CONFLICT (app_id, name) DO UPDATE SET seen = excluded.seen",
            (*key, now),
        )
        row = self.turn.execute(
            "SELECT id, revision, watches FROM holdfast_watchers WHERE app_id = ? AND name = ?", key
        ).fetchone()
        watcher = Watcher(row["id"], app, say)
        self._here.setdefault(watcher.id, set()).add(watcher)
        say("holdfast-watching", revision=row["revision"], watches=row["watches"])
        self._stirred.add(watcher.id)
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """Note that its connection has gone."""
        here = self._here.get(watcher.id, set())
        here.discard(watcher)
        if not here:
            self._here.pop(watcher.id, None)

    def watch(
        self, watcher: Watcher, wanted: Iterable[Wanted], now: float
    ) -> tuple[int, list[tuple[str, str]]]:
        """Watch all of `wanted`; return the watcher's revision, and what is not there to watch.

        Raises:
            TooMany: nothing of it is watched.
        """
        self.turn.execute("SAVEPOINT holdfast_watch")
        missing = [(one.mailbox, one.side) for one in wanted if not self._watch(watcher, one, now)]
        self.turn.execute(
            "UPDATE holdfast_watchers SET revision = revision + 1 WHERE id = ?", (watcher.id,)
        )
        row = self.turn.execute(
            "SELECT revision, watches FROM holdfast_watchers WHERE id = ?", (watcher.id,)
        ).fetchone()
        if row["watches"] > self.most:
            self.turn.execute("ROLLBACK TO holdfast_watch")
        self.turn.execute("RELEASE holdfast_watch")
        if row["watches"] > self.most:
            raise TooMany(f"a watcher may watch at most {self.most} mailboxes here")
        return row["revision"], missing

    def _watch(self, watcher: Watcher, one: Wanted, now: float) -> bool:
        key = one.mailbox, one.side
        names = one.side, one.mailbox, watcher.app, one.side
        found = self.turn.execute(_FIND, names).fetchone()
        # A side learns what opening the mailbox would tell it. To open it is refused if there are
        # more sides than two, and whoever has not opened it has nothing to hear.
        if found is None or found["sides"] > _MOST_SIDES:
            self.unwatch(watcher, [key])
            return False
        # A side has one watcher, the last: the rows cannot outnumber the package's.
        self._unwatch("mailbox_id = ? AND side = ?", key)
        self.turn.execute("INSERT INTO holdfast_watches VALUES (?, ?, ?)", (*key, watcher.id))
        self.turn.execute("UPDATE mailboxes SET updated = ? WHERE id = ?", (now, one.mailbox))
        if found["others"] != one.heard:
            self.turn.execute(
                "INSERT INTO holdfast_arrivals (watcher, mailbox_id, side) VALUES (?, ?, ?)",
                (watcher.id, *key),
            )
        return True

    def unwatch(self, watcher: Watcher, unwanted: Iterable[tuple[str, str]]) -> None:
        """Watch these mailboxes and sides no longer; others' watches stay."""
        for mailbox, side in unwanted:
            where = "mailbox_id = ? AND side = ? AND watcher = ?"
            self._unwatch(where, (mailbox, side, watcher.id))

    def acknowledge(self, watcher: Watcher, arrivals: Iterable[int]) -> None:
        """End the watches whose arrivals were heard; numbers that are not its own do nothing."""
        for number in arrivals:
            self._unwatch(
                "(mailbox_id, side) IN (SELECT mailbox_id, side FROM holdfast_arrivals"
                " WHERE number = ? AND watcher = ? AND number <= ?)",
                (number, watcher.id, watcher.told),
            )
        self._stirred.add(watcher.id)

    def _unwatch(self, where: str, parameters: tuple[object, ...]) -> None:
        self.turn.execute(f"DELETE FROM holdfast_watches WHERE {where}", parameters)  # noqa: S608

    def tell(self) -> None:
        """Tell those who are connected of what has come, behind the commit that comes next."""
        stirred = set(self._stirred)
        self._stirred.clear()
        for id_ in stirred:
            for watcher in self._here.get(id_, ()):
                self._tell(watcher)

    def _tell(self, watcher: Watcher) -> None:
        [unacknowledged] = self.turn.execute(
            "SELECT count(*) FROM (SELECT 1 FROM holdfast_arrivals"
            " WHERE watcher = ? AND number <= ? LIMIT ?)",
            (watcher.id, watcher.told, UNACKNOWLEDGED),
        ).fetchone()
        for _ in range((UNACKNOWLEDGED - unacknowledged + BATCH - 1) // BATCH):
            rows = self.turn.execute(
                "SELECT number, mailbox_id, side FROM holdfast_arrivals"
                " WHERE watcher = ? AND number > ? ORDER BY number LIMIT ?",
                (watcher.id, watcher.told, BATCH),
            ).fetchall()
            if not rows:
                return
            watcher.say("holdfast-arrived", arrivals=[list(row) for row in rows])
            watcher.told = rows[-1]["number"]

    @property
    def here(self) -> int:
        """On how many connections somebody watches."""
        return sum(map(len, self._here.values()))

    def note(self, now: float) -> None:
        """Before a sweep: note that those who are connected are here."""
        for id_ in self._here:
            self.turn.execute("UPDATE holdfast_watchers SET seen = ? WHERE id = ?", (now, id_))

    def forget(self, old: float, empty: float) -> None:
        """Forget watchers who were not here since `old`, and, if they watch nothing, `empty`."""
        gone = self.turn.execute(
            "SELECT id FROM holdfast_watchers WHERE seen <= ? OR (seen <= ? AND watches = 0)",
            (old, empty),
        ).fetchall()
        for row in gone:
            if row["id"] not in self._here:
                self._unwatch("watcher = ?", (row["id"],))
                self.turn.execute("DELETE FROM holdfast_watchers WHERE id = ?", (row["id"],))
