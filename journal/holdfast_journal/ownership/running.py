"""`Running`: the flows that run in this process, each with the journal that it writes.

It is the one list of them. A flow is put in by `held.Held` when it was taken, and goes out when it
was given back, or when its journal says that it is over or lost.
"""

from collections.abc import Callable
from functools import partial

from attrs import define, field

from holdfast_journal.commits.flow import FlowJournal
from holdfast_journal.errors import Fenced
from holdfast_journal.ownership import taking
from holdfast_journal.store.database import Database


@define(eq=False)
class Running:
    """The flows that run here. Whatever changes it is one step, so that any thread may."""

    _database: Database
    _in_reactor: Callable[[Callable[[], object]], object]
    journals: dict[int, FlowJournal] = field(factory=dict, init=False, repr=False)
    strays: bool = field(default=False, init=False)
    """Whether there may be flows that are ours in the database, and of which we do not know."""

    def gone(self, flow: int, journal: FlowJournal) -> None:
        """The journal of a flow is over, or lost. For the reactor's thread, which waits for none.

        A lost flow may still be ours: a commit of it failed, and nobody has taken it.
        """
        if self.journals.get(flow) is journal:
            self.journals.pop(flow, None)
            if journal.is_lost:
                self.strays = True

    def lapse(self) -> None:
        """Our lease may have been over: let go of the flows that others took meanwhile.

        For any thread. Nothing more of those flows gets out once this has returned; in the
        reactor's thread their runners are told. Raises SQLAlchemy's errors.
        """
        running = dict(self.journals)
        epochs = taking.epochs(self._database, running)
        for flow, journal in running.items():
            if epochs.get(flow) != journal.epoch:
                error = Fenced(f"flow {flow} was taken over while this process was paused")
                journal.fence(error)
                self._in_reactor(partial(journal.refused, error))
