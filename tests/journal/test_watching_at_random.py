"""Two workers, one watcher, and whatever may happen between them, in any order."""

from itertools import count

from attrs import define
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from holdfast_journal import CANCEL, SqlJournal
from tests.journal.conftest import Journals
from tests.journal.helpers import start
from tests.journal.test_retention import Time
from tests.journal.test_watching import watched

FLOWS = tuple("abcd")
SOON, FAR = 100.0, 1000.0

_batches = count()


@define
class Modelled:
    """What we know of a flow."""

    id: int = 0
    owner: int | None = None
    marked: bool = False
    """Whether an arrival finds it."""
    revision: int | None = None
    """At which its watch is confirmed: then it is parked."""
    wake_at: float | None = None
    asked: bool = False

    def is_due(self, now: float) -> bool:
        if self.owner is not None:
            return False
        if self.asked or (self.revision is None and self.wake_at is None):
            return True
        return self.wake_at is not None and self.wake_at <= now

    def let_be_due(self) -> None:
        """Something has come for it, or its server has forgotten it."""
        if self.marked:
            self.marked, self.revision, self.wake_at = False, None, None


workers = st.integers(0, 1)
names = st.sampled_from(FLOWS)
times = st.sampled_from([None, SOON, FAR])


class Watched(RuleBasedStateMachine):
    """The journals against the model: what is taken is exactly what is due."""

    def __init__(self, journals: list[SqlJournal], clock: Time) -> None:
        super().__init__()
        self.journals, self.clock = journals, clock
        self.batch = f"batch {next(_batches)}"
        self.watcher = journals[0].watcher("ws://here/v1", "app").id
        self.flows = {name: Modelled() for name in FLOWS}
        self.revision = 0

    @initialize()
    def begin(self) -> None:
        start(self.journals[0], *FLOWS, batch=self.batch)
        for flow in self.journals[0].take(batch=self.batch):
            self.flows[flow.name] = Modelled(flow.id, owner=0)

    def mailbox(self, name: str) -> tuple[str, str]:
        return f"{self.batch} {name}", "side"

    @rule(worker=workers)
    def take(self, worker: int) -> None:
        due = {name for name, flow in self.flows.items() if flow.is_due(self.clock.now)}
        taken = self.journals[worker].take(batch=self.batch)
        assert {flow.name for flow in taken} == due
        for flow in taken:
            if flow.request is not None:
                self.journals[worker].answered([(flow.id, flow.request)])
            self.flows[flow.name] = Modelled(flow.id, worker)

    @rule(worker=workers, name=names)
    def watch(self, worker: int, name: str) -> None:
        """Also of a flow that another has by now."""
        flow = self.flows[name]
        self.journals[worker].watch(self.watcher, {flow.id: self.mailbox(name)})
        flow.marked |= flow.owner == worker

    @rule(worker=workers, some=st.sets(names, min_size=1), after=times)
    def park(self, worker: int, some: set[str], after: float | None) -> None:
        """Also of flows that others have, and of such as have lost their marks."""
        self.revision += 1
        at = None if after is None else self.clock.now + after
        ids = {self.flows[name].id: at for name in some}
        self.journals[worker].park(ids, self.revision)
        for flow in (self.flows[name] for name in some):
            if flow.owner == worker:
                flow.owner = None
                if flow.marked:
                    flow.revision, flow.wake_at = self.revision, at

    @rule(worker=workers, some=st.sets(names, min_size=2), after=times)
    def let_go(self, worker: int, some: set[str], after: float | None) -> None:
        for name in sorted(some):
            self.watch(worker, name)
        self.park(worker, some, after)

    @rule(worker=workers, name=names, visited=st.booleans())
    def give_back(self, worker: int, name: str, visited: bool) -> None:
        flow = self.flows[name]
        at = self.clock.now + SOON if visited else None
        self.journals[worker].give_back([flow.id], wake_at=at)
        if flow.owner == worker:
            flow.owner, flow.wake_at = None, at

    @rule(worker=workers, some=st.sets(names, min_size=1))
    def has_come(self, worker: int, some: set[str]) -> None:
        met = self.journals[worker].has_come(self.watcher, [self.mailbox(name) for name in some])
        assert met == sum(self.flows[name].marked for name in some)
        for name in some:
            self.flows[name].let_be_due()

    @rule(worker=workers, back=st.integers(0, 5))
    def forgotten(self, worker: int, back: int) -> None:
        above = self.revision - back
        self.journals[worker].forgotten(self.watcher, above)
        for flow in self.flows.values():
            if flow.revision is None or flow.revision > above:
                flow.let_be_due()

    @rule(name=names)
    def ask(self, name: str) -> None:
        self.journals[0].ask(name, self.batch, CANCEL)
        self.flows[name].asked = True

    @rule(seconds=st.sampled_from([SOON, FAR]))
    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds

    def teardown(self) -> None:
        self.take(1)

    @precondition(lambda self: self.flows["a"].id)
    @invariant()
    def counted(self) -> None:
        assert watched(self.journals[1], self.batch) == sum(
            flow.revision is not None for flow in self.flows.values()
        )


def test_at_random(url: str, journals: Journals) -> None:
    """A flow for which something has come is due once nobody has it; nothing else is."""
    clock = Time()
    two = [journals.open(url, clock=clock, lease=1e6) for _ in range(2)]
    run_state_machine_as_test(
        lambda: Watched(two, clock),
        settings=settings(
            max_examples=10,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
