"""How a worker is: what its health and its metrics are made of."""

from math import inf

from attrs import frozen

from holdfast_journal.commits.backlog import Backlog
from holdfast_journal.workers.registration import Registration


@frozen
class Vitals:
    """A worker at one moment. Asked for in the reactor's thread; nothing here blocks."""

    worker: int | None
    """Its id; None until it has owned a flow."""
    lease_left: float | None
    """Seconds for which its lease certainly holds, 0 if it may be over; None if it has none."""
    lapses: int
    """How often its lease may have been over."""
    usable: bool
    """Whether the database answers, as far as is known."""
    commits_waiting: int
    """Commits that are not durable yet, or whose calls have not all been run."""
    bytes_waiting: int
    """Their size in memory, more or less."""
    writing_for: float
    """Seconds since the writer last began, or tried again, what it has not finished; 0 if it has
    nothing to do."""


def vitals_of(registration: Registration, backlog: Backlog) -> Vitals:
    """How the worker is now."""
    left = registration.term.left()
    renewing = registration.renewing
    return Vitals(
        worker=registration.current,
        lease_left=None if left == inf else left,
        lapses=registration.term.lapses,
        usable=backlog.pressure.usable,
        commits_waiting=backlog.outstanding,
        bytes_waiting=backlog.size,
        writing_for=0.0 if renewing is None else renewing.moving.writing_for(),
    )
