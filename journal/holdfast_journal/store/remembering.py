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
    """The answer to one question. For one thread at a time."""

    _database: Database
    _asked: tuple[object, ...] | None = field(default=None, init=False)
    _answer: Any = field(default=None, init=False, repr=False)

    def ask(self, question: Callable[..., T], *about: object) -> T:
        """Return what `question(*about)` returns, or returned. Raises DatabaseUnusable."""
        # Before the question: what is committed meanwhile is asked for again.
        version = self._database.data_version()
        asked = (version, *about)
        if version is None or asked != self._asked:
            answer = question(*about)
            self._asked, self._answer = asked, answer
        return self._answer  # type: ignore[no-any-return]
