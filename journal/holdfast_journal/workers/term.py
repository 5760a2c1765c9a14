"""`Term`: until when our lease certainly holds."""

from collections.abc import Callable
from math import inf

from attrs import define, field

from holdfast_journal.workers.clocks import boot_time

LEASE = 30.0
"""Seconds for which a worker counts as alive after each renewal."""
RENEWALS = 3
"""How often it renews in that time."""


@define(eq=False)
class Term:
    """The end of our lease, by a clock that never jumps and that no pause stops.

    The lease in the database goes by the clock that all workers share, which may be set. So this
    term is asked before anything is let out: it never lasts longer than that lease.
    """

    lease: float = LEASE
    """Seconds."""
    uptime: Callable[[], float] = boot_time
    lapses: int = field(default=0, init=False)
    """How often the lease may have been over; raised before what others took is let go."""
    lapsed: bool = field(default=False, init=False)
    """Whether it may have been over, and the flows that others took are not let go yet."""
    _until: float = field(default=inf, init=False)
    _renew_at: float = field(default=inf, init=False)

    def holds(self, now: float | None = None) -> bool:
        """Whether it certainly holds, `now`, or when this is called. For any thread."""
        return (self.uptime() if now is None else now) < self._until

    def left(self) -> float:
        """Seconds for which it holds from now on; infinity if we are no worker."""
        return max(0.0, self._until - self.uptime())

    def is_due(self, now: float) -> bool:
        """Whether it is to be renewed."""
        return now >= self._renew_at or self.lapsed

    def renewed(self, began: float) -> None:
        """It was renewed, by a statement that was sent after `began`."""
        self.lapsed = False
        self._until = began + self.lease
        self._renew_at = began + self.lease / RENEWALS

    def lapse(self) -> None:
        """Let it hold no more until it is renewed: others may have taken us for dead."""
        self.lapsed = True
        self.lapses += 1
        self._until = -inf

    def end(self) -> None:
        """Let it hold from now on: we stopped being a worker, so nothing can be taken from us."""
        self._until = self._renew_at = inf
