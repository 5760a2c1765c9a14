"""Forgetting unused mailboxes again and again, a few in each turn, even when a sweep fails.

The package's own sweep reads every mailbox, and writes a line to the log for each: with 100,000
of them nobody is answered for a second, and if all are old, for minutes. This one asks for what is
old, by an index. What makes a sweep fail must not end all later sweeps, nor keep other clients' old
mailboxes: rows that a server would never write are repaired first; anything that still fails is
reported, and tried again with the next sweep.
"""

import math
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from attrs import define, field
from twisted.logger import Logger
from twisted.python.failure import Failure

from holdfast.server.turn import Turn
from holdfast.server.watches import Watches

# The package hard-codes 660 s of retention and a sweep every 300 s. With a short retention it must
# be more frequent, or mailboxes would live twice as long as asked.
LONGEST_SWEEP_PERIOD = 300.0
SWEEPS_IN_A_RETENTION = 4

# How often, in seconds, mailboxes to which somebody listens are touched: it costs a statement for
# each. If something is old they are touched in any case, so that they are not forgotten.
LONGEST_TOUCH_PERIOD = 3600.0

# A client that dies between asking for a nameplate and hearing the answer leaves one behind that
# it does not know of, and asks for another. Clients do not wait in a mailbox that was never
# written to, so it is kept only for as long as the package itself would keep it, in seconds.
LONGEST_EMPTY = 660.0

AT_ONCE: Final = 500
"""How many mailboxes are forgotten in one turn; meanwhile nobody is answered."""

_IS_OLD: Final = "SELECT 1 FROM mailboxes WHERE updated <= ? LIMIT 1"
# What is about to be forgotten; its identifier has no type, so that indexes of all columns serve.
_ABOUT: Final = "CREATE TEMP TABLE IF NOT EXISTS holdfast_old (mailbox INTEGER PRIMARY KEY, id)"
_CHOOSE: Final = """INSERT INTO holdfast_old SELECT rowid, id FROM mailboxes
    WHERE updated <= ? ORDER BY updated LIMIT ?"""
# What is watched was last in use when its watcher was last here.
_WATCHED: Final = """UPDATE mailboxes SET updated = max(updated, coalesce(
        (SELECT max(seen) FROM holdfast_watches JOIN holdfast_watchers AS w ON w.id = watcher
            WHERE mailbox_id = mailboxes.id), 0))
    WHERE rowid IN (SELECT mailbox FROM holdfast_old)"""
_KEEP: Final = """DELETE FROM holdfast_old
    WHERE (SELECT updated FROM mailboxes WHERE rowid = mailbox) > ?"""
# The sides of a nameplate go with it, by a trigger (`database`).
_FORGET: Final = (
    "DELETE FROM nameplates WHERE mailbox_id IN (SELECT id FROM holdfast_old)",
    "DELETE FROM messages WHERE mailbox_id IN (SELECT id FROM holdfast_old)",
    "DELETE FROM mailbox_sides WHERE mailbox_id IN (SELECT id FROM holdfast_old)",
    "DELETE FROM mailboxes WHERE rowid IN (SELECT mailbox FROM holdfast_old)",
    "DELETE FROM holdfast_old",
)

# Values that a server never writes, and that cannot be compared or belong to no client. SQLite
# sorts NULL before numbers, then text, then blobs; so an index finds them.
_ODD: Final = (
    "UPDATE mailboxes SET updated = 0 WHERE updated IS NULL OR updated >= ''",
    "DELETE FROM messages WHERE app_id IS NULL OR app_id >= x''",
    "DELETE FROM nameplates WHERE app_id IS NULL OR app_id >= x''",
    """DELETE FROM mailbox_sides WHERE mailbox_id IN
        (SELECT id FROM mailboxes WHERE app_id IS NULL OR app_id >= x'')""",
    "DELETE FROM mailboxes WHERE app_id IS NULL OR app_id >= x''",
)

_log = Logger()


def period(keep: float) -> float:
    """Seconds from one sweep to the next, if mailboxes are kept for `keep` seconds."""
    return min(LONGEST_SWEEP_PERIOD, keep / SWEEPS_IN_A_RETENTION)


class Listened(Protocol):
    """Who knows to which mailboxes clients listen."""

    def listened_to(self) -> list[str]:
        """Return them."""


@define(eq=False)
class Sweeper:
    """Forgets mailboxes that were not used for `keep` seconds. Raises nothing.

    `soon` calls a function in the reactor's next turn.
    """

    _server: Listened
    _turn: Turn
    _keep: float
    _watches: Watches
    _soon: Callable[[Callable[[], None]], object] = field(repr=False)
    _steps: Iterator[None] | None = field(default=None, init=False, repr=False)
    """What is left of the sweep that has begun."""
    _touched: float = field(default=-math.inf, init=False)
    _aged: float = field(default=0.0, init=False)
    """Empty mailboxes that were last used before this were looked for."""

    def __call__(self) -> None:
        """Begin to sweep, unless the last sweep still goes on."""
        if self._steps is None:
            self._steps = self._sweep(time.time())
            self._go_on()

    def stop(self) -> None:
        """Do no more of the sweep that has begun."""
        self._steps = None

    def _go_on(self) -> None:
        if self._steps is None:
            return
        for _ in self._steps:
            # Whoever says something now need not wait for all that is old.
            self._soon(self._go_on)
            return
        self._steps = None

    def _sweep(self, now: float) -> Iterator[None]:
        """Each step has its own turn, so that the failure of one does not undo the others."""
        self._do("odd rows", self._put_right)
        self._do("watchers", lambda: self._sweep_watchers(now))
        self._do("empty mailboxes", lambda: self._age_empty_ones(now))
        self._do("mailboxes in use", lambda: self._touch(now))
        while self._do("old mailboxes", lambda: self._forget(now - self._keep)):
            yield

    def _do(self, what: str, step: Callable[[], bool | None]) -> bool:
        """Take one step; return whether there are more of its kind."""
        more = False
        try:
            self._turn.end()
            try:
                more = bool(step())
            except sqlite3.Error as error:
                # A disk that is full now must not end all later sweeps: what is old stays old. And
                # half a sweep must not be committed together with the next client's message.
                self._turn.take_back(error)
            except Exception:  # noqa: BLE001 - it is logged, and the sweeps continue
                _log.failure("The sweep of {what} failed", Failure(), what=what)
                self._turn.take_back(sqlite3.DataError(f"what is there of {what} cannot be read"))
            self._turn.end()
        except sqlite3.Error as error:
            _log.error("the sweep of {what} failed: {error}", what=what, error=str(error))
            return False
        return more and self._turn.is_well

    def _put_right(self) -> None:
        odd = sum(self._turn.execute(statement).rowcount for statement in _ODD)
        if odd:
            _log.warn("put {odd} rows right that no mailbox server wrote", odd=odd)

    def _sweep_watchers(self, now: float) -> None:
        self._watches.note(now)
        self._watches.forget(now - self._keep, now - min(self._keep, LONGEST_EMPTY))

    def _age_empty_ones(self, now: float) -> None:
        """Let empty mailboxes be old, unless somebody hears of what comes.

        Each is looked at once after it was last used. One whose watch ended only then is kept like
        those that are not empty.
        """
        last, self._aged = self._aged, now - min(self._keep, LONGEST_EMPTY)
        self._turn.execute(
            "UPDATE mailboxes SET updated = 0 WHERE updated >= ? AND updated < ?"
            " AND id NOT IN (SELECT mailbox_id FROM messages WHERE mailbox_id = mailboxes.id)"
            " AND id NOT IN (SELECT mailbox_id FROM holdfast_watches)",
            (last, self._aged),
        )

    def _touch(self, now: float) -> None:
        """A mailbox is in use as long as somebody listens to it."""
        names = self._server.listened_to()
        due = now - self._touched >= min(LONGEST_TOUCH_PERIOD, self._keep / SWEEPS_IN_A_RETENTION)
        if due or self._turn.execute(_IS_OLD, (now - self._keep,)).fetchone():
            for name in names:
                self._turn.execute("UPDATE mailboxes SET updated = ? WHERE id = ?", (now, name))
            self._touched = now

    def _forget(self, old: float) -> bool:
        self._turn.execute(_ABOUT)
        chosen = self._turn.execute(_CHOOSE, (old, AT_ONCE)).rowcount
        self._turn.execute(_WATCHED)
        self._turn.execute(_KEEP, (old,))
        for statement in _FORGET:
            self._turn.execute(statement)
        return chosen == AT_ONCE
