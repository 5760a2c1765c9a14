"""The time that all workers of a database share: that of its server, if it has one.

One worker writes when a parked flow is to be taken again, and all read it. If each went by its own
clock, two machines whose clocks differ by a quarter of an hour would take each other's flows far
too often: what one puts off for eight minutes is past, or absurdly far ahead, for the other.
"""

from collections.abc import Callable
from math import inf

from attrs import define, field
from sqlalchemy import select

from holdfast_journal.store.database import Database
from holdfast_journal.workers.clocks import boot_time

COMPARE_EVERY = 60.0
"""Seconds between two looks at the server's clock."""


@define
class SharedTime:
    """Turns times by our clock into those that are stored. Used by one thread at a time."""

    _database: Database
    _clock: Callable[[], float]
    """Seconds since the epoch, by our machine."""
    _compares: bool
    """Whether ours may differ from the server's; if not, it is taken as it is."""
    _uptime: Callable[[], float] = boot_time
    _ahead: float = field(default=0.0, init=False)
    _compare_at: float = field(default=-inf, init=False)

    def now(self) -> float:
        """Seconds since the epoch. Raises DatabaseUnusable."""
        return self.of(self._clock())

    def of(self, ours: float) -> float:
        """What the shared clock shows when ours shows this. Raises DatabaseUnusable."""
        compares = self._compares and self._database.dialect.has_clock
        if compares and self._compare_at <= self._uptime():
            with self._database.reading() as connection:
                before = self._clock()
                shown = connection.scalar(select(self._database.dialect.clock(before)))
            self._ahead = float(shown or before) - before
            self._compare_at = self._uptime() + COMPARE_EVERY
        return ours + self._ahead
