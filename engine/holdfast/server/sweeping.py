"""Forgetting unused mailboxes again and again, even when a sweep fails.

The sweep itself is the package's. What makes it fail, for instance a row that a server would never
write, must not end all later sweeps, nor keep other clients' old mailboxes. So such rows are
repaired first; anything that still fails is reported, and tried again with the next sweep.
"""

import math
import sqlite3
import time
from collections.abc import Callable
from typing import Any, Final

from attrs import define
from twisted.logger import Logger
from twisted.python.failure import Failure

from holdfast.server.turn import Turn
from holdfast.server.watches import Watches

# The package hard-codes 660 s of retention and a sweep every 300 s. A sweep costs one query per
# app, so it need not be rarer. With a short retention it must be more frequent, or mailboxes
# would live twice as long as asked.
LONGEST_SWEEP_PERIOD = 300.0
SWEEPS_IN_A_RETENTION = 4

# The package's part of a sweep reads every mailbox: with 100,000 of them nobody is answered for a
# second. If none is old, all that it does is to touch those with subscribers, in seconds.
LONGEST_PRUNE_PERIOD = 3600.0
_IS_OLD: Final = "SELECT 1 FROM mailboxes WHERE updated <= ? LIMIT 1"

# A client that dies between asking for a nameplate and hearing the answer leaves one behind that
# it does not know of, and asks for another. Clients do not wait in a mailbox that was never
# written to, so it is kept only for as long as the package itself would keep it, in seconds.
LONGEST_EMPTY = 660.0

# Values that a server never writes, and that the package cannot compare or sort: such a row counts
# as old, or as belonging to no client.
_ODD: Final = (
    "UPDATE mailboxes SET updated = 0 WHERE typeof(updated) NOT IN ('integer', 'real')",
    "DELETE FROM messages WHERE typeof(app_id) <> 'text'",
    """DELETE FROM nameplate_sides WHERE nameplates_id IN
        (SELECT id FROM nameplates WHERE typeof(app_id) <> 'text')""",
    "DELETE FROM nameplates WHERE typeof(app_id) <> 'text'",
    """DELETE FROM mailbox_sides WHERE mailbox_id IN
        (SELECT id FROM mailboxes WHERE typeof(app_id) <> 'text')""",
    "DELETE FROM mailboxes WHERE typeof(app_id) <> 'text'",
)

_log = Logger()


def period(keep: float) -> float:
    """Seconds from one sweep to the next, if mailboxes are kept for `keep` seconds."""
    return min(LONGEST_SWEEP_PERIOD, keep / SWEEPS_IN_A_RETENTION)


@define(eq=False)
class Sweeper:
    """Forgets mailboxes that were not used for `keep` seconds. Raises nothing."""

    server: Any
    turn: Turn
    keep: float
    watches: Watches
    _pruned: float = -math.inf

    def __call__(self) -> None:
        """Sweep once."""
        now = time.time()
        # Each has its own turn, so that the failure of one does not undo the others.
        self._do("odd rows", self._put_right)
        self._do("watchers", lambda: self._sweep_watchers(now))
        self._do("old mailboxes", lambda: self._sweep(now))

    def _do(self, what: str, work: Callable[[], object]) -> None:
        try:
            self.turn.end()
            try:
                work()
            except sqlite3.Error as error:
                # A disk that is full now must not end all later sweeps: what is old stays old. And
                # half a sweep must not be committed together with the next client's message.
                self.turn.take_back(error)
            except Exception:  # noqa: BLE001 - it is logged, and the sweeps continue
                _log.failure("The sweep of {what} failed", Failure(), what=what)
                self.turn.take_back(sqlite3.DataError(f"what is there of {what} cannot be read"))
            self.turn.end()
        except sqlite3.Error as error:
            _log.error("the sweep of {what} failed: {error}", what=what, error=str(error))

    def _put_right(self) -> None:
        odd = sum(self.turn.execute(statement).rowcount for statement in _ODD)
        if odd:
            _log.warn("put {odd} rows right that no mailbox server wrote", odd=odd)

    def _sweep(self, now: float) -> None:
        self._age_empty_ones(now)
        old = now - self.keep
        due = now - self._pruned >= min(LONGEST_PRUNE_PERIOD, self.keep / SWEEPS_IN_A_RETENTION)
        if due or self.turn.execute(_IS_OLD, (old,)).fetchone() is not None:
            self.server.prune_all_apps(now, old)
            self._pruned = now

    def _sweep_watchers(self, now: float) -> None:
        old = now - self.keep
        self.watches.keep(now, old)
        self.watches.forget(old, now - min(self.keep, LONGEST_EMPTY))

    def _age_empty_ones(self, now: float) -> None:
        """Let the package's sweep find empty mailboxes old, unless somebody hears of what comes."""
        self.turn.execute(
            "UPDATE mailboxes SET updated = 0"
            " WHERE updated < ? AND id NOT IN (SELECT mailbox_id FROM messages)"
            " AND id NOT IN (SELECT mailbox_id FROM holdfast_watches)",
            (now - min(self.keep, LONGEST_EMPTY),),
        )
