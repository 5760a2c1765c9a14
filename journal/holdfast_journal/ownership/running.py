"""`Running`: the flows that run in this process, each with the journal that it writes.

It is the only list of them. `held.Held` adds a flow once it is taken. It is removed once it is
given back, or when its journal says that it is over or lost.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from attrs import define, field

from holdfast_journal.commits.flow import FlowJournal
from holdfast_journal.errors import Fenced
from holdfast_journal.ownership import taking
from holdfast_journal.store.database import Database


@define(eq=False)
class Running:
    """The flows that run here. Each change is a single step, so any thread may make it."""

    _database: Database
    _in_reactor: Callable[[Callable[[], object]], object]
    journals: dict[int, FlowJournal] = field(factory=dict, init=False, repr=False)
    strays: bool = field(default=False, init=False)
    """Whether the database may hold flows of ours of which we do not know."""

    def is_alone(self) -> bool:
        """Whether at most one flow runs here."""
        return len(self.journals) < 2

    def gone(self, flow: int, journal: FlowJournal) -> None:
        """Remove a flow whose journal is over, or lost. For the reactor's thread; does not block.

        A lost flow may still be ours: if a commit of it failed, and no other worker has taken it.
        """
        if self.journals.get(flow) is journal:
            self.journals.pop(flow, None)
            if journal.is_lost:
                self.strays = True

    def forget(self, flows: Iterable[int]) -> None:
        """Remove flows that were given back."""
        for flow in flows:
            self.journals.pop(flow, None)

    @contextmanager
    def strays_if_it_fails(self) -> Iterator[None]:
        """Expect strays if this block raises: the database may still have made flows ours."""
        try:
            yield
        except BaseException:
            self.strays = True
            raise

    def lapse(self) -> None:
        """Let go of the flows that other workers took: our lease may have been over.

        For any thread. Once this has returned, nothing more of those flows gets out; their runners
        are told in the reactor's thread. Raises SQLAlchemy's errors.
        """
        running = dict(self.journals)
        epochs = taking.epochs(self._database, running)
        for flow, journal in running.items():
            if epochs.get(flow) != journal.epoch:
                error = Fenced(f"flow {flow} was taken over while this process was paused")
                journal.fence(error)
                self._in_reactor(partial(journal.refused, error))
