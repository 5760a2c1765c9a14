"""`Stillness`: whether all is still, which a worker asks before each look.

All is still if nobody asks anything of our flows, if no search for due flows would find one, and if
all of that is known from the last look (`nothing`, `store.remembering`).
"""

from collections.abc import Mapping

from attrs import define, evolve, field

from holdfast_journal.ownership import taking
from holdfast_journal.ownership.due import Due, Wanted
from holdfast_journal.ownership.nothing import Nothing
from holdfast_journal.ownership.owners import Owners
from holdfast_journal.store.database import Database
from holdfast_journal.store.remembering import Remembered
from holdfast_journal.workers.shared_time import SharedTime


@define(eq=False)
class Stillness:
    """What a worker remembers of looks that found nothing.

    `version` is the database's (`Database.data_version`), before anything else was asked.
    """

    _database: Database
    _time: SharedTime
    _owners: Owners
    _requests: Remembered = field(init=False, repr=False)
    _searches: Mapping[bool | None, Nothing] = field(init=False, repr=False)
    """By `Wanted.suspects`: some kinds of search are made now and then, between the others."""
    _all: Nothing = field(init=False, repr=False)
    """What it knows of all of them, and of requests, while no other worker has flows."""

    def __attrs_post_init__(self) -> None:
        self._requests = Remembered(self._database)
        self._searches = {which: Nothing(self._database) for which in (None, False, True)}
        self._all = Nothing(self._database)

    def requests(self, worker: int) -> list[tuple[int, str]]:
        """What is asked of the flows of `worker`. Raises DatabaseUnusable."""
        return self._requests.ask(taking.requests, self._database, worker)

    def of_search(self, wanted: Wanted) -> Nothing:
        """What it remembers of searches of this kind."""
        return self._searches[wanted.suspects]

    def is_known(self, version: int, wanted: Wanted) -> bool:
        """Whether all was still before, and must be still now. Raises DatabaseUnusable."""
        return self._all.is_known((version, wanted), self._time.now())

    def has_no_requests(self, version: int, worker: int) -> bool:
        """Whether it is known that nothing is asked of the flows of `worker`."""
        return self._requests.is_known(version, [], self._database, worker)

    def has_no_flows(self, version: int, wanted: Wanted, due: Due) -> bool:
        """Whether it is known of each search that it would find nothing.

        Call it only if there are no requests. From then on that all is still `is_known`, unless it
        depends on other workers. For one thread at a time. Raises DatabaseUnusable.
        """
        searches = self._searches[False], self._searches[True]
        for suspects, search in zip((False, True), searches, strict=True):
            question = search.question(version, due, evolve(wanted, suspects=suspects))
            if not search.is_known(question, due.now):
                return False
        # The others, if there are any, may die without a word.
        if self._owners.are_none_but(due.worker):
            self._all.follows_from((version, wanted), searches)
        return True
