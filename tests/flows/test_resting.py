"""An engine without anything to do: it rests while a thread of the journal looks out.

Here the thread is a timer of the pretended clock, and asks as often as the thread would.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import define, field

from holdfast.flows.engine.looking import LONGEST_REST, LOOK_EVERY
from holdfast.testing import Clock
from tests.flows.many_people import add, people
from tests.flows.test_watches import all_wait, collect
from tests.flows.world import BATCH, World


@define(eq=False)
class Reactor(Clock):
    """Counts what is asked in threads; a lookout of the journal, too."""

    hops: int = field(default=0, init=False)
    polls: int = field(default=0, init=False)
    _rest: Any = field(default=None, init=False)

    def __attrs_pre_init__(self) -> None:
        Clock.__init__(self)

    def callInThreadWithCallback(self, *args: Any, **kwargs: Any) -> None:  # noqa: N802
        self.hops += 1
        super().callInThreadWithCallback(*args, **kwargs)

    def begin(self, is_still: Callable[[], bool], every: float, then: Callable[[], object]) -> None:
        if self._rest is not None and self._rest.active():
            self._rest.cancel()
        self._rest = self.callLater(every, self._poll, is_still, every, then)

    def _poll(self, is_still: Callable[[], bool], every: float, then: Callable[[], object]) -> None:
        self.polls += 1
        if is_still():
            self._rest = self.callLater(every, self._poll, is_still, every, then)
        else:
            then()

    def end(self) -> None:
        """The journal is closed."""


@pytest.fixture
def world() -> Iterator[World]:
    """Four people wait whom the server watches, until 500, and nobody comes."""
    world = World()
    world.reactor = world.journal._lookout = Reactor()
    world.server.watched = 1000
    add(world, people(4), deadline=500.0)
    world.serve()
    all_wait(world, 4)
    world.advance(5)
    yield world
    world.close()


def test_nothing_but_the_lookout_looks(world: World) -> None:
    """A look asks one question; the others are for what happens more seldom."""
    hops, polls = world.reactor.hops, world.reactor.polls
    world.advance(100, step=LOOK_EVERY)
    looks = 100 / LONGEST_REST + 1
    assert 0 < world.reactor.hops - hops <= 4 * looks
    assert world.reactor.polls - polls >= 0.9 * 100 / LOOK_EVERY


def test_where_nobody_looks_out(world: World) -> None:
    """As on PostgreSQL, or in a test: one question in each look, twice a second."""
    world.journal._lookout = None
    world.advance(LONGEST_REST)
    hops = world.reactor.hops
    world.advance(100, step=LOOK_EVERY)
    assert 100 / LOOK_EVERY <= world.reactor.hops - hops + 1 <= 1.5 * 100 / LOOK_EVERY


def test_what_others_ask_is_seen_at_the_next_look(world: World) -> None:
    world.journal.ask("p0", BATCH, "cancel")
    world.advance(LOOK_EVERY)
    assert "operator: cancel" in world.heard("p0")
    add(world, ["late"])
    world.until(lambda: world.published("late").get("code"), seconds=LOOK_EVERY)


def test_time_that_passes(world: World) -> None:
    """A deadline is met although nobody has committed anything for minutes."""
    world.advance(499.9 - world.now())
    assert not world.engine.running
    world.advance(0.1 + 2 * LOOK_EVERY)  # they are taken, and then looked at
    assert all("timer: the deadline has passed" in world.heard(name) for name in people(4))


def test_who_comes_is_answered(world: World) -> None:
    collect(world, people(2), seconds=2)
