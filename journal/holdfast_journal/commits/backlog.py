"""`Backlog`: how much was submitted to a writer and is not yet written, or not yet released."""

from collections.abc import Callable

from attrs import define, field

from holdfast_journal.commits.pressure import Pressure
from holdfast_journal.commits.values import Commit

MOST_COMMITS = 2000
"""Commits that wait to be written or released, from which no more should be taken in."""
MOST_BYTES = 64 * 1024 * 1024
"""Bytes of them, likewise."""


@define(eq=False)
class Backlog:
    """Counts, and says when too much waits. For the reactor's thread."""

    pressure: Pressure
    outstanding: int = field(default=0, init=False)
    """Commits that were submitted and whose calls have not all been run."""
    unwritten: int = field(default=0, init=False)
    """Those of them that the thread was given and has not written."""
    transactions: int = field(default=0, init=False)
    """Transactions that it has finished."""
    size: int = field(default=0, init=False)
    """The size of what is outstanding."""
    observe: Callable[[int, float], object] = field(default=lambda *_: None, init=False, repr=False)
    """Called with the commits of each transaction, and the seconds that it took."""
    _full: bool = field(default=False, init=False)

    def submitted(self, commit: Commit) -> None:
        """One more waits."""
        self.outstanding += 1
        self.size += commit.size
        if self.outstanding > MOST_COMMITS or self.size > MOST_BYTES:
            self.gauge()

    def written(self, commits: int, seconds: float) -> None:
        """The thread has finished a transaction of so many, which took it so long."""
        self.transactions += 1
        self.unwritten -= commits
        self.pressure.answers("watch")
        self.observe(commits, seconds)

    def released(self, commit: Commit) -> None:
        """Its calls were run; `gauge` is to follow."""
        self.outstanding -= 1
        self.size -= commit.size

    def gauge(self) -> None:
        """Say when too much waits, and when half of it is gone."""
        share = max(self.outstanding / MOST_COMMITS, self.size / MOST_BYTES)
        if share > 1.0 if not self._full else share <= 0.5:
            self._full = not self._full
            self.pressure.fill(full=self._full)
