"""The clock that drives the timers of a process."""

from typing import Any


def keep_time_steadily(reactor: Any) -> None:
    """Run the reactor's timers on a monotonic clock. Call it before any timer is set.

    Twisted asks for the time of day. If that is set back by a day, a timer of half a second fires a
    day later: until then the worker does not look into the database, retry, or renew its lease.
    """
    from holdfast_journal import boot_time

    reactor.seconds = boot_time
