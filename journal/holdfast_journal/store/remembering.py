"""What was read from a database, remembered for as long as nothing is committed to it.

A worker that waits asks the same questions twice a second. SQLite can tell in microseconds whether
any other connection has committed since; PostgreSQL cannot, and is asked each time.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from attrs import define, field

from holdfast_journal.store.database import Database

T = TypeVar("T")


@define(eq=False)
class Remembered:
    """The answer to one question. One thread at a time may `ask`."""

    _database: Database
    _known: tuple[tuple[object, ...], Any] | None = field(default=None, init=False, repr=False)
    """What was asked, and the answer."""

    def ask(self, question: Callable[..., T], *about: object) -> T:
        """Return what `question(*about)` returns, or returned. Raises DatabaseUnusable."""
        # Before the question: what is committed meanwhile is asked for again.
        version = self._database.data_version()
        asked = (version, *about)
        known = self._known
        if version is None or known is None or known[0] != asked:
            known = self._known = asked, question(*about)
        answer: T = known[1]
        return answer

    def is_known(self, version: int, answer: T, *about: object) -> bool:
        """Whether `ask` would return this `answer` without asking, at this version."""
        return self._known == ((version, *about), answer)
