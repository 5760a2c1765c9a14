"""The clock that the timers of a process go by."""

from typing import Any


def keep_time_steadily(reactor: Any) -> None:
    """Let the timers of Twisted's `reactor`, of which none is set yet, go by no machine's clock.

    Twisted asks for the time of day. When that is set back by a day, whatever is to happen in half
    a second happens a day later: no look into the database, no retry, no sign of life.
    """
    from holdfast_journal import boot_time

    reactor.seconds = boot_time
