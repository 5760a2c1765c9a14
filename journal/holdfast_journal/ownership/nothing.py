"""Nothing is due: the usual answer to a worker that looks around, and until when it stays true.

A search for due flows takes a millisecond of which SQLite needs a tenth, twice a second in each
worker. As long as nothing is committed, only time makes a flow due; so the next such time is looked
up once, and nothing is asked before.

So a worker that has found nothing asks one question from then on: has anything been committed
(`Database.data_version`), and has that time come? `Held.is_still` asks it.
"""

from collections.abc import Sequence
from math import inf
from typing import Final

from attrs import define, evolve, field
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
    since: float = field(default=inf, init=False)
    """From when on it is known, in seconds since the epoch."""
    until: float = field(default=-inf, init=False)
    """Until when, likewise, if nothing is committed."""

    def question(self, version: int | None, due: Due, wanted: Wanted) -> object:
        """All on which the answer depends, but for the time; None if it cannot be remembered.

        `version` is the database's before the search. How many are wanted does not matter.
        """
        if version is None:
            return None
        return version, due.dead, due.strays, tuple(due.keys.ids), evolve(wanted, limit=None)

    def is_known(self, question: object, now: float) -> bool:
        """Whether nothing can be due now. Not if the clock was set back: see LONGEST_PAUSE."""
        return question == self._question and self.since <= now < self.until

    def found(self, question: object, now: float) -> None:
        """Remember that this question found nothing. Raises DatabaseUnusable."""
        if question is None:
            return
        with self._database.reading() as connection:
            given = {"now": now}
            times = [connection.scalar(query, given) for query in (_NEXT_VISITED, _NEXT_WATCHED)]
        until = min((time for time in times if isinstance(time, float)), default=inf)
        self._question, self.since, self.until = question, now, until

    def follows_from(self, question: object, others: Sequence["Nothing"]) -> None:
        """Remember that this question finds nothing for as long as `others` are known."""
        self._question = question
        self.since = max(each.since for each in others)
        self.until = min(each.until for each in others)
