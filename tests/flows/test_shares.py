"""Giving flows to workers that have fewer."""

from collections.abc import Iterator

import pytest

from holdfast.flows.shipped.provision import Provision
from holdfast_journal import SqlJournal
from tests.flows.test_parking import accept, add, codes, people
from tests.flows.world import World


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def epochs(world: World) -> list[int]:
    """How often each flow was taken."""
    return sorted(runner.taken.epoch for runner in world.engine.running.values())


@pytest.mark.parametrize(("excess", "given"), [(2, 0), (3, 3), (1000, 50)])
def test_what_is_given_away(
    world: World, monkeypatch: pytest.MonkeyPatch, excess: int, given: int
) -> None:
    """As many waiting flows as are above the share are free for others, but not many at once."""
    left = [excess]
    add(world, people(55))
    world.serve()
    world.until(lambda: len(codes(world)) == 55)
    world.advance(5)
    monkeypatch.setattr(SqlJournal, "excess", lambda _: left.pop() if left else 0)
    world.advance(5)
    # There is nobody else, so they come back.
    assert epochs(world) == [1] * (55 - given) + [2] * given
    world.peer(codes(world)["p54"], appid=Provision.appid, on_message=accept)
    world.until(lambda: world.finished("p54"))


def test_what_is_busy_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow that is not merely waiting is not given away."""
    world.server.stop()
    add(world, people(10))
    world.serve()
    monkeypatch.setattr(SqlJournal, "excess", lambda _: 10)
    world.advance(10)
    assert epochs(world) == [1] * 10
