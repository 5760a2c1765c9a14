"""Forgetting what nobody touches any more, again and again, whatever is in the way.

The sweep itself is the package's. What makes it stumble, a row that no server wrote for instance,
must neither end the sweeps for ever nor keep what is old of everybody else, so such rows are put
right before, and whatever goes wrong all the same is told, and tried again with the next sweep.
"""

import sqlite3
import time
from collections.abc import Callable
from typing import Any, Final

from attrs import define
from twisted.logger import Logger
from twisted.python.failure import Failure

from holdfast.server.turn import Turn

# The package hard-codes 660 s of retention and a sweep every 300 s. A sweep costs a query an
# app, so it need not be rarer; with a short retention it must be more frequent, or mailboxes
# would live twice as long as asked.
LONGEST_SWEEP_PERIOD = 300.0
SWEEPS_IN_A_RETENTION = 4

# A client that dies between asking for a nameplate and hearing the answer leaves one behind that
# nobody knows of, and asks for another. Nobody waits in a mailbox that was never written to, so
# such a mailbox is kept only for as long as the package itself would keep it, in seconds.
LONGEST_EMPTY = 660.0

# What no server wrote, and the package cannot compare or sort: it counts as old, or is nobody's.
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
    """Seconds from one sweep to the next, if mailboxes are kept for so many."""
    return min(LONGEST_SWEEP_PERIOD, keep / SWEEPS_IN_A_RETENTION)


@define(eq=False)
class Sweeper:
    """Forgets mailboxes that nobody touched for `keep` seconds. Raises nothing."""

    server: Any
    turn: Turn
    keep: float

    def __call__(self) -> None:
        """Sweep once."""
        now = time.time()
        # Each has a turn of its own, so that its failure is nobody else's.
        self._do("odd rows", self._put_right)
        self._do("old mailboxes", lambda: self._sweep(now))

    def _do(self, what: str, work: Callable[[], object]) -> None:
        try:
            self.turn.end()
            try:
                work()
            except sqlite3.Error as error:
                # A full disk now must not end the sweeps for ever: what is old stays old. Half a
                # sweep must not be committed by the next client's message either.
                self.turn.take_back(error)
            except Exception:  # noqa: BLE001 - it is told, and the sweeps go on
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
        self.server.prune_all_apps(now, now - self.keep)

    def _age_empty_ones(self, now: float) -> None:
        """Let the package's sweep find them old, unless somebody is subscribed to them."""
        self.turn.execute(
            "UPDATE mailboxes SET updated = 0"
            " WHERE updated < ? AND id NOT IN (SELECT mailbox_id FROM messages)",
            (now - min(self.keep, LONGEST_EMPTY),),
        )
