"""The clocks that workers share."""

import time

from sqlalchemy import ColumnElement, or_

from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import workers

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_time() -> float:
    """Seconds since this machine started, those in which it was suspended included."""
    return time.clock_gettime(_CLOCK)


def in_time(database: Database, now: float) -> ColumnElement[bool]:
    """Whether a worker's lease has not run out. One of an old release has none, only its lock."""
    over = database.dialect.clock(now)
    return or_(workers.c.lease_until.is_(None), workers.c.lease_until > over)
