"""Whether a service is well: what a watchdog and a load balancer ask.

Two questions, which must not be mixed up. If a process is `unwell`, nothing but another process
helps, so its supervisor should end it. If it is `unready`, something that it needs is not there,
and to end it would only make that worse. A mailbox server that is out of reach is neither: the
flows wait for it, and the flows of other servers go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from attrs import define, field

if TYPE_CHECKING:
    from holdfast_journal import SqlJournal

STANDS_STILL: Final = 90.0
"""Seconds in which the journal's writer must finish something, or try again. A server's machine
that hangs is noticed after a minute, and the writer tries again then."""


class Health(Protocol):
    """Answers for one process. To be asked in the reactor's thread, which also shows that it turns.

    Neither method blocks.
    """

    def unwell(self) -> str | None:
        """One line that says why this process makes no progress; None if it does."""
        ...

    def unready(self) -> str | None:
        """One line that says why this process cannot do its work now; None if it can."""
        ...


@define(eq=False)
class WorkerHealth:
    """The health of a process that runs flows."""

    _journal: SqlJournal
    stopping: bool = field(default=False, init=False)
    """Whether the process was asked to stop."""

    def unwell(self) -> str | None:
        """Whether the journal's writer stands still; see `Health`."""
        seconds = self._journal.vitals().writing_for
        if seconds <= STANDS_STILL:
            return None
        return f"the journal's writer has stood still for {seconds:.0f} seconds"

    def unready(self) -> str | None:
        """Whether there is no database or no lease; see `Health`."""
        vitals = self._journal.vitals()
        if self.stopping:
            return "stopping"
        if not vitals.usable:
            return "the database cannot be used now"
        if vitals.worker is None:
            return "the database was not looked into yet"
        if vitals.lease_left == 0.0:
            return "the lease has run out: other workers may take the flows"
        return None
