"""Nothing is due: the usual answer to a worker that looks around, and until when it stays true.

A search for due flows takes a millisecond of which SQLite needs a tenth, twice a second in each
worker. As long as nothing is committed, only time makes a flow due; so the next such time is looked
up once, and nothing is asked before.
"""

from math import inf
from typing import Final

from attrs import define, field
from sqlalchemy import Double, bindparam, select

from holdfast_journal.ownership.due import Due, Wanted
from holdfast_journal.store.database import Database
from holdfast_journal.store.schema import flows

_NOW: Final = bindparam("now", type_=Double)
_UNOWNED: Final = flows.c.finished_at.is_(None) & flows.c.owner.is_(None)
_NEXT_VISITED: Final = (
    select(flows.c.wake_at)
    .where(_UNOWNED, flows.c.wake_at > _NOW)
    .order_by(flows.c.wake_at)
    .limit(1)
)
# The time of a watched flow is a negative number; see `watching`.
_NEXT_WATCHED: Final = (
    select(-flows.c.wake_at)
    .where(_UNOWNED, flows.c.wake_at < -_NOW)
    .order_by(flows.c.wake_at.desc())
    .limit(1)
)


@define(eq=False)
class Nothing:
    """What a worker remembers of a search that found nothing. For one thread at a time."""

    _database: Database
    _question: object = field(default=None, init=False, repr=False)
    _since: float = field(default=inf, init=False)
    _until: float = field(default=-inf, init=False)

    def question(self, due: Due, wanted: Wanted) -> object:
        """All on which the answer depends, but for the time; None if it cannot be remembered.

        To be asked before the search. Raises DatabaseUnusable.
        """
        version = self._database.data_version()
        if version is None:
            return None
        return version, due.dead, due.strays, tuple(due.keys.ids), wanted

    def is_known(self, question: object, now: float) -> bool:
        """Whether nothing can be due now. Not if the clock was set back: see LONGEST_PAUSE."""
        return question == self._question and self._since <= now < self._until

    def found(self, question: object, now: float) -> None:
        """Remember that this question found nothing. Raises DatabaseUnusable."""
        if question is None:
            return
        with self._database.reading() as connection:
            given = {"now": now}
            times = [connection.scalar(query, given) for query in (_NEXT_VISITED, _NEXT_WATCHED)]
        until = min((time for time in times if isinstance(time, float)), default=inf)
        self._question, self._since, self._until = question, now, until
