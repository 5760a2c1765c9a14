"""Running a world from its beginning to its end."""

from __future__ import annotations

import gc
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from attrs import define, field

from holdfast.flows.engine import looking
from tests.simulation import endings
from tests.simulation.transfers import KINDS as TRANSFERS
from tests.simulation.watching import WATCHED
from tests.simulation.world import FLOWS, Violation, World

MOST_STEPS = 200_000
MOST_WAITING = 5_000
"""Events that are to come, from which something piles up."""

QUIET = 3600.0
"""Seconds in which everything that can end ends, once nothing goes wrong any more."""


@define
class Outcome:
    """What came of a seed."""

    seed: int
    steps: int
    seconds: float
    digest: str
    counts: Counter[str]
    endings: Counter[str]
    problem: str = ""
    trace: list[str] = field(factory=list, repr=False)
    option: str = ""
    """What asks for a world of this kind."""

    @property
    def replay(self) -> str:
        return " ".join(f"python -m tests.simulation {self.option} --seed {self.seed}".split())


def run(
    seed: int,
    trouble: Mapping[str, float] | None = None,
    kinds: Sequence[str] = FLOWS,
    peers: Sequence[str] = (),
) -> Outcome:
    """Run the world of a seed, and say what came of it.

    With `trouble` more goes wrong there than the seed draws, with `kinds` only such flows run, and
    with `peers` people have only such plans.
    """
    world = World(seed, trouble or {}, kinds, peers)
    problem = ""
    with world.real():
        try:
            _live(world)
        except Violation as error:
            problem = str(error)
        except Exception:  # noqa: BLE001 - whatever it was, it is told with its seed
            problem = traceback.format_exc()
        finally:
            bury(world)
    if not problem and world.unhandled:
        problem = world.unhandled[0]
    return Outcome(
        seed,
        world.kernel.steps,
        world.kernel.now,
        world.trace.digest,
        world.counts,
        Counter(
            f"{flow.kind} {status}"
            for flow in world.watch.flows.values()
            for _, status in flow.ended
        ),
        problem,
        world.trace.lines,
        _option(trouble, kinds),
    )


def _option(trouble: Mapping[str, float] | None, kinds: Sequence[str]) -> str:
    if kinds == TRANSFERS:
        return "--transfers"
    return "--watching" if trouble == WATCHED else ""


def _live(world: World) -> None:
    world.plan()
    go_on(world, world.trouble.get("seconds", 60.0), lambda: _all_over(world))
    looking.LOOK_EVERY = 60.0  # type: ignore[misc]
    if world.random.random() < 0.2:
        go_on(world, world.random.choice((60.0, 600.0)), lambda: _all_over(world))
    _calm(world)
    go_on(world, QUIET, lambda: _nothing_more(world))
    for name in endings.stuck(world):
        world.violate(f"{name} is stuck")
    for each in world.watching.left_alone():
        world.violate(each)
    check(world)
    world.say("world", "everybody gives up")
    world.giving_up = True
    for person in world.people:
        person.give_up()
    for flow in list(world.watch.flows.values()):
        if not flow.finished:
            world.cancel(flow.name)
    go_on(world, QUIET, lambda: all(flow.finished for flow in world.watch.flows.values()))
    go_on(world, 60.0, lambda: not endings.held_in_vain(world))
    for each in endings.held_in_vain(world):
        world.violate(each)
    check(world)
    world.closing = True
    for life in list(world.lives):
        world.kernel.act(life, life.stop)
    go_on(world, 60.0, lambda: not world.lives)
    if world.lives:
        world.violate("a process does not stop")
    go_on(world, 1.0, lambda: False)
    endings.check_end(world)
    world.disk.look()
    check(world)


def _all_over(world: World) -> bool:
    flows = world.watch.flows.values()
    return (
        bool(flows) and all(flow.finished for flow in flows) and "retry" not in world.faults.rates
    )


def _calm(world: World) -> None:
    """From now on nothing goes wrong."""
    world.say("world", "all is well from now on")
    world.faults.calm()
    world.network.slowest, world.network.refuses = 0.05, 0.0
    world.lines.slowest = 0.05
    world._server_back()
    for life in list(world.lives):
        if life.paused or life.stuck:
            life.come_unstuck()


def _nothing_more(world: World) -> bool:
    waiting = [flow for flow in world.watch.flows.values() if not flow.finished]
    if not waiting:
        return True
    if world.watching.left_alone():
        return False
    if world.coming or any(person.clients == 0 for person in world.people) or endings.stuck(world):
        return False
    return not any(flow.kind == "sim-timer" for flow in waiting)


def go_on(world: World, seconds: float, reached: Callable[[], bool], every: int = 16) -> None:
    """Let so much time pass, unless that is reached before; which is asked every so many steps.

    Raises:
        Violation: something does not hold.
    """
    kernel = world.kernel
    end = kernel.now + seconds
    stop = kernel.at(end, lambda: None)
    steps = 0
    while kernel.now < end:
        if not kernel.step():
            break
        if world.violations:
            raise Violation(world.violations[0])
        steps += 1
        if steps % every == 0 and reached():
            break
        if kernel.steps > MOST_STEPS:
            raise Violation("it never comes to rest")
        if kernel.waiting > MOST_WAITING:
            raise Violation("too much piles up")
    stop.cancel()


def check(world: World) -> None:
    """Raise the first Violation, if there is any."""
    if world.violations:
        raise Violation(world.violations[0])


def bury(world: World) -> None:
    """Let everybody die who is left."""
    world.closing = True
    for actor in [*world.lives, *(p.client for p in world.people if p.client is not None)]:
        actor.kill()
    gc.collect(1)
