"""`Owners`: whose flows a worker may take, as of its last look.

Flows without an owner are found by the search itself (`due`). Before it, a worker finds out which
other owners are gone, and which of its own flows it does not run.
"""

from collections.abc import Sequence

from attrs import define, field

from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.ownership import due
from holdfast_journal.ownership.due import Due
from holdfast_journal.ownership.running import Running
from holdfast_journal.store.database import Database
from holdfast_journal.store.remembering import Remembered
from holdfast_journal.workers.registration import Registration
from holdfast_journal.workers.shared_time import SharedTime


@define(eq=False)
class Owners:
    """The dead workers, and our strays. Used by one thread at a time."""

    _database: Database
    _keys: KeyRing
    _registration: Registration
    _running: Running
    _time: SharedTime
    _owners: Remembered = field(init=False, repr=False)
    _dead: Sequence[int] = field(default=(), init=False)
    """The workers that were gone at the last look, with flows left to be run."""
    _strays: frozenset[int] = field(default=frozenset(), init=False)
    """The flows that we own and do not run, as of the last look."""

    def __attrs_post_init__(self) -> None:
        self._owners = Remembered(self._database)

    def look(self, worker: int, *, again: bool) -> Due:
        """What we, that is `worker`, may take now: free flows, those of dead workers, and strays.

        If we look `again`, the dead workers are assumed to be as they were.
        Raises DatabaseUnusable.
        """
        if self._running.strays:
            self._running.strays = False  # a loss from here on sets it again
            with self._running.strays_if_it_fails():
                ours = due.owned(self._database, worker)
                self._strays = frozenset(ours).difference(self._running.journals)
        if not again:
            owners = self._owners.ask(due.owners, self._database)
            self._dead = due.dead_owners(owners, self._registration.alive, worker)
        return Due(worker, self._time.now(), self._dead, self._strays, self._keys)

    def drop_running(self) -> None:
        """Drop those strays that are in `Running` by now."""
        self._strays = self._strays.difference(self._running.journals)

    def are_none_but(self, worker: int) -> bool:
        """Whether no other worker has flows. Raises DatabaseUnusable."""
        return self._owners.ask(due.owners, self._database) <= {worker}
