"""Operators give flows other deadlines: while they run, wait, are parked, or have failed."""

import math

import pytest

from holdfast.flows.requests import other_deadline, put_off
from holdfast.flows.shipped.provision import Provision
from holdfast.operating import bulk
from holdfast.operating.audit import operator
from holdfast.operating.choosing import Choice
from holdfast.operating.rules import why_not_extend
from tests.flows.world import BATCH, World


def extend(world: World, deadline: float, *names: str) -> list[str]:
    """Do what the command does; what became of each flow."""
    found = bulk.select(world.journal, Choice(names=names or ("ann",)), why_not_extend)
    return [each.words for each in bulk.extend(world.journal, found.rows, deadline, operator())]


def add(world: World, name: str = "ann", deadline: float | None = 300.0) -> None:
    world.add(Provision(name=name, secret="s3cr3t"), name, deadline=deadline)


def check_deadline(world: World, deadline: float, name: str = "ann") -> None:
    """It is alive until then, and expires then."""
    world.advance(deadline - world.now() - 5, step=10)
    assert world.status(name) == "waiting"
    world.until(lambda: world.finished(name), seconds=20)
    assert world.status(name) == "expired"


def asked(world: World, name: str = "ann") -> str | None:
    return world.row(name).request


def test_while_it_runs(world: World) -> None:
    """Its worker hears of it; the request is taken back; it is in the history, once."""
    add(world)
    world.serve()
    world.code()
    assert extend(world, 500.0) == ["has another deadline"]
    assert asked(world) is not None
    world.advance(5)
    assert asked(world) is None
    assert world.heard().count("operator: another deadline") == 1
    check_deadline(world, 500.0)


@pytest.mark.parametrize("deadline", [None, 300.0])
def test_before_it_begins(world: World, deadline: float | None) -> None:
    """Then it begins with it, and nobody is asked anything."""
    add(world, deadline=deadline)
    extend(world, 500.0)
    assert asked(world) is None
    world.serve()
    world.code()
    check_deadline(world, 500.0)


def test_while_nobody_runs_it(world: World) -> None:
    """The next worker hears of it before it looks at the old deadline."""
    add(world)
    world.serve()
    world.code()
    world.crash()
    extend(world, 1000.0)
    world.advance(400)
    world.serve()
    world.advance(5)
    check_deadline(world, 1000.0)


def test_a_shorter_one(world: World) -> None:
    """It may also be sooner."""
    add(world)
    world.serve()
    world.code()
    extend(world, 100.0)
    check_deadline(world, 100.0)


def test_none_at_all(world: World) -> None:
    """It never expires, also after a retry; and may be given one again."""
    add(world)
    world.serve()
    code = world.code()
    assert extend(world, math.inf) == ["has no deadline"]
    world.until(lambda: asked(world) is None, seconds=5)
    assert world.heard().count("operator: no deadline") == 1
    world.advance(2000, step=50)
    world.peer(f"{code.partition('-')[0]}-wrong-words")
    world.until(world.finished)
    world.journal.retry("ann", BATCH)
    world.advance(2000, step=50)
    assert world.status() == "waiting"
    extend(world, 5000.0)
    check_deadline(world, 5000.0)


def test_while_it_is_parked(world: World) -> None:
    """It is visited, and parked again."""
    for number in range(12):
        add(world, f"p{number}")
    world.serve(connections=4)
    world.until(lambda: sum(row.status == "waiting" for row in world.rows()) == 12)
    world.advance(5)
    [last, *_] = [row.name for row in world.rows() if row.owner is None]
    extend(world, 1000.0, last)
    world.until(lambda: asked(world, last) is None, seconds=5)
    world.advance(400, step=20)
    alive = [row.name for row in world.rows() if row.status == "waiting"]
    assert alive == [last]


def test_killed_before_the_answer(world: World) -> None:
    """What was heeded and not answered is asked again, and changes nothing the second time."""
    add(world)
    world.serve()
    world.code()
    extend(world, 500.0)
    world.until(lambda: world.heard().count("operator: another deadline"))
    world.journal.ask("ann", BATCH, put_off(500.0))
    world.crash()
    world.serve()
    world.until(lambda: asked(world) is None)
    assert world.heard().count("operator: another deadline") == 1
    check_deadline(world, 500.0)


@pytest.mark.parametrize("failed_before", [True, False])
def test_it_outlives_a_retry(world: World, failed_before: bool) -> None:
    """A flow that failed begins anew with the new deadline, whenever it was given."""
    add(world)
    world.serve()
    code = world.code()
    for moment in (False, True):
        if moment == failed_before:
            extend(world, 1000.0)
            world.advance(2)
        if not moment:
            world.peer(f"{code.partition('-')[0]}-wrong-words")
            world.until(world.finished)
            assert world.status() == "scared"
    world.advance(400, step=10)
    world.journal.retry("ann", BATCH)
    world.until(lambda: world.status() == "waiting")
    check_deadline(world, 1000.0)


@pytest.mark.parametrize(
    "request_",
    ["", "cancel", "expire at", "expire at soon", "expire at nan", "expire at inf", "expire at -1"],
)
def test_what_is_no_deadline(request_: str) -> None:
    """A row may hold anything."""
    assert other_deadline(request_) is None


def test_a_request_that_nobody_knows(world: World) -> None:
    """It is left alone, and harms nobody."""
    add(world)
    world.serve()
    world.code()
    world.journal.ask("ann", BATCH, "expire at teatime")
    check_deadline(world, 300.0)
