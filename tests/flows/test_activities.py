"""Activities: what goes on beside a flow follows from its state, through crashes too."""

from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred

from holdfast.flows import Flow, flow
from holdfast.flows.activities import Session, Wanted, activity
from tests.flows.world import World


@define
class Ringing:
    """An activity that a test looks at."""

    session: Session
    wanted: list[Any] = field(factory=list)
    stopped: bool = False
    for_good: bool = False

    def wants(self, details: Any) -> None:
        if details == "burst":
            raise ZeroDivisionError
        self.wanted.append(details)

    def stop(self, *, for_good: bool) -> None:
        self.stopped, self.for_good = True, for_good


begun: list[Ringing] = []


@activity("ringing")
def begin(session: Session) -> Ringing:
    begun.append(Ringing(session))
    return begun[-1]


@flow("test-ringing", appid="example.com/ringing")
class Ring(Flow):
    how: str | None = None
    rings: int = field(default=0, init=False)

    def started(self) -> None:
        self.wormhole.set_code("4-a-b")

    def activity(self) -> Wanted | None:
        return None if self.how is None else Wanted("ringing", self.how)

    def ringing_rang(self, how: str) -> None:
        self.rings += 1
        self.publish(rings=self.rings)
        self.how = how or None

    def ringing_done(self, value: None) -> None:
        self.finish()


@pytest.fixture(autouse=True)
def _none_begun() -> None:
    begun.clear()


def durable(reported: "Deferred[None]") -> list[None]:
    fired: list[None] = []
    reported.addCallback(fired.append)
    return fired


def test_told_of_each_change(world: World) -> None:
    """It begins when it is wanted, hears of each change once, and stops when it is not wanted."""
    world.start(Ring(how="loud"), "ann")
    world.until(lambda: begun)
    (ringing,) = begun
    assert ringing.wanted == ["loud"]
    fired = durable(ringing.session.report("rang", "soft"))
    world.until(lambda: fired)
    assert (ringing.wanted, world.published()["rings"]) == (["loud", "soft"], 1)
    durable(ringing.session.report("rang", "soft"))
    durable(ringing.session.report("rang", ""))
    world.until(lambda: ringing.stopped)
    assert ringing.for_good
    assert (ringing.wanted, begun) == (["loud", "soft"], [ringing])
    assert "activity" in [entry.kind for entry in world.history("ann")]


def test_begins_again_after_a_crash(world: World) -> None:
    """The next process begins it as the last commit wants it; what was not durable is not so."""
    world.start(Ring(how="loud"), "ann")
    world.until(lambda: begun)
    fired = durable(begun[0].session.report("rang", "soft"))
    world.until(lambda: fired)
    world.crash()
    assert (begun[0].stopped, begun[0].for_good) == (True, False)
    assert not durable(begun[0].session.report("rang", "lost"))
    world.restart()
    world.until(lambda: len(begun) == 2)
    assert begun[1].wanted == ["soft"]
    assert begun[0].session.key == begun[1].session.key
    assert world.published()["rings"] == 1


def test_stops_with_the_flow(world: World) -> None:
    """A flow that has its verdict wants nothing any more, whatever it says."""
    world.start(Ring(how="loud"), "ann")
    world.until(lambda: begun)
    durable(begun[0].session.report("done", None))
    world.until(world.finished)
    assert (begun[0].stopped, begun[0].for_good) == (True, True)
    assert world.status() == "done"


def test_is_not_parked(world: World) -> None:
    """A flow with an activity keeps its connection, although others need one."""
    world.add(Ring(how="loud"))
    world.serve(connections=1)
    world.until(lambda: begun)
    world.add(Ring(), "bob")
    world.advance(120)
    assert not begun[0].stopped
    assert [runner.taken.name for runner in world.engine.running.values()] == ["ann"]


@pytest.mark.parametrize("how", ["burst", "unknown"])
def test_a_fault_in_it(world: World, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If its code raises, or nobody knows its kind, the flow is loaded again, later and later."""
    if how == "unknown":
        monkeypatch.setattr(Ring, "activity", lambda _: Wanted("unheard-of", 1))
    world.start(Ring(how=how), "ann")
    world.until(lambda: world.row("ann").failures >= 2)
    assert world.status() == "starting"


def test_a_report_of_failure(world: World) -> None:
    """An activity that fails by itself has its flow loaded again."""
    world.start(Ring(how="loud"), "ann")
    world.until(lambda: begun)
    begun[0].session.failed(ZeroDivisionError())
    world.until(lambda: len(begun) == 2)
    assert begun[0].stopped


def test_a_kind_has_one_beginning() -> None:
    """A second activity of the same name is refused."""
    with pytest.raises(ValueError, match="two activities are called 'ringing'"):
        activity("ringing")(begin)
