"""Places: one that becomes free is given to the next flow at once, and nobody looks in vain."""

from collections.abc import Iterator
from typing import Any

import pytest
from attrs import define
from twisted.internet.defer import Deferred, succeed

from holdfast import Flow, flow, task
from holdfast.flows.engine.looking import LOOK_EVERY
from holdfast_journal import DatabaseAway, SqlJournal
from tests.flows.world import World

PLACES = 2
SOON = LOOK_EVERY / 100
SLOW: list[Deferred[str]] = []


@pytest.fixture(autouse=True)
def slow() -> Iterator[list[Deferred[str]]]:
    """Tasks that take as long as the test wants, and of which there are none at first."""
    SLOW.clear()
    yield SLOW
    SLOW.clear()


@task("test-place", at_once=100)
def work(call: Any) -> Any:
    return SLOW.pop() if SLOW else "done"


@flow("test-place", appid="example.com/places")
class Worker(Flow):
    def started(self) -> None:
        self.perform("test-place")

    def test_place_done(self, result: str) -> None:
        self.finish()


@define(eq=False)
class Nobody:
    """A connector that connects to nobody."""

    url: str
    owner: object

    def start(self) -> None:
        pass

    def stop(self) -> Deferred[None]:
        return succeed(None)


@pytest.fixture
def takes(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """How many flows were asked for, each time."""
    asked: list[Any] = []
    take = SqlJournal.take

    def noted(self: SqlJournal, **wanted: Any) -> Any:
        asked.append(wanted["limit"])
        return take(self, **wanted)

    monkeypatch.setattr(SqlJournal, "take", noted)
    return asked


def start(world: World, flows: int) -> None:
    for number in range(flows):
        world.add(Worker(), f"flow {number}")
    world.serve(connector=Nobody, connections=PLACES)


def done(world: World) -> int:
    return world.journal.counts().get("done", 0)


def test_a_free_place_is_given_at_once(world: World) -> None:
    """However many flows wait for two places, nobody waits for the time of the next look."""
    start(world, 9)
    world.until(lambda: done(world) == 9, seconds=LOOK_EVERY * 0.9, step=SOON)


def test_nobody_looks_in_vain(world: World, takes: list[Any]) -> None:
    """Where no flow waited for a place, one that becomes free leads to no look."""
    SLOW.append(answer := Deferred())
    start(world, 1)
    world.advance(LOOK_EVERY / 2, step=SOON)
    before = len(takes)
    answer.callback("done")
    world.advance(LOOK_EVERY / 4, step=SOON)
    assert done(world) == 1
    assert len(takes) == before


def test_one_look_for_all_places_of_a_turn(world: World, takes: list[Any]) -> None:
    """Places that become free together are given away together."""
    answers: list[Deferred[str]] = [Deferred(), Deferred()]
    SLOW.extend(answers)
    start(world, 4)
    world.advance(LOOK_EVERY / 2, step=SOON)
    assert takes == [PLACES]
    for answer in answers:
        answer.callback("done")
    world.until(lambda: done(world) == 4, seconds=LOOK_EVERY / 4, step=SOON)
    assert takes[:2] == [PLACES, PLACES]


def test_a_database_that_is_away_is_not_hurried(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Free places do not make looks into a database more frequent that does not answer."""
    SLOW.extend(answers := [Deferred(), Deferred()])
    start(world, 4)
    world.advance(LOOK_EVERY / 4, step=SOON)
    tries: list[object] = []

    def fail(self: SqlJournal, **wanted: Any) -> Any:
        tries.append(wanted)
        raise DatabaseAway("away", "why")

    with monkeypatch.context() as away:
        away.setattr(SqlJournal, "take", fail)
        for answer in answers:
            answer.callback("done")
            world.advance(LOOK_EVERY / 4, step=SOON)
        assert done(world) == 2
        assert len(tries) == 1
    world.until(lambda: done(world) == 4, step=SOON)
