"""The clocks that workers share."""

import time
from typing import Any

from sqlalchemy import ColumnElement, extract, func, literal, or_

from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import workers

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_time() -> float:
    """Seconds since this machine started, those in which it was suspended included."""
    return time.clock_gettime(_CLOCK)


def database_clock(database: Database, now: float) -> ColumnElement[Any]:
    """The time that leases go by, in seconds since the epoch: the server's, where there is one."""
    if database.is_postgresql:
        # Not now(), which stands still in a transaction: ours may begin long before it is served.
        return extract("epoch", func.clock_timestamp())
    return literal(now)


def in_time(database: Database, now: float) -> ColumnElement[bool]:
    """Whether a worker's lease has not run out. One of an old release has none, only its lock."""
    over = database_clock(database, now)
    return or_(workers.c.lease_until.is_(None), workers.c.lease_until > over)
