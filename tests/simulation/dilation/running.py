"""Running a dilated world from its beginning to its end: one of a seed, or one of a history."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Mapping, Sequence
from random import Random

from tests.simulation.dilation.faults import Points, Trouble
from tests.simulation.dilation.histories import Dilated
from tests.simulation.dilation.ours import Ours
from tests.simulation.dilation.relay import ADDRESS as RELAY
from tests.simulation.dilation.relay import PORT
from tests.simulation.dilation.script import Script
from tests.simulation.dilation.stock import Stock
from tests.simulation.dilation.world import End, World
from tests.simulation.played import Played
from tests.simulation.running import Outcome, check, go_on
from tests.simulation.world import Violation

KINDS = ("stock leads", "stock follows", "ours", "stock dies")
"""Who is at the other end."""

QUIET = 2000.0
"""Seconds in which everything ends, once nothing goes wrong any more."""


def run(
    seed: int,
    trouble: Mapping[str, float] | None = None,
    kinds: Sequence[str] = KINDS,
    peers: Sequence[str] = (),
) -> Outcome:
    """Run the world of a seed, and say what came of it.

    With `trouble` more goes wrong there than the seed draws, with `kinds` only such are at the
    other end, and with `peers` ("planned", "one way out", "one way in") all subchannels are such.
    """
    world = World(f"dilated {seed}")
    random = Random(f"dilated {seed} plan")
    kind = random.choice(kinds)
    plan(world, kind, [_script(random, number, peers) for number in range(random.randint(1, 3))])
    _network(world, random)
    world.hurried = kind != "stock dies" and random.random() < 0.15
    for end in world.ends:
        end.at_once = random.random() < 0.3
    world.away = random.choice((1.0, 10.0, 60.0))
    faults = world.faults = Trouble(world, random, trouble or {})
    world.say("world", f"the other end: {kind}")
    for script in world.scripts:
        world.say("world", f"{script}")

    def over() -> bool:
        return world.is_over

    def live() -> None:
        go_on(world, world.faults.rates.get("seconds", 60.0), over, every=1)  # type: ignore
        world.say("world", "all is well from now on")
        faults.calm()
        world.away = 1.0
        world.network.slowest = world.lines.slowest = 0.05
        world.server_back()
        for life in world.lives:
            if life.paused:
                life.resume()
        if not world.is_over:
            go_on(world, QUIET, over, every=1)  # type: ignore[arg-type]

    problem = _live(world, live)
    return Outcome(
        seed,
        world.kernel.steps,
        world.kernel.now,
        world.trace.digest,
        world.counts,
        +world.ended,
        problem,
        world.trace.lines,
        "--dilation",
    )


def play(history: Dilated, *at: int) -> Played:
    """Play a history, with a death at each of these points."""
    world = World(history.name)
    plan(world, history.peer, history.scripts)
    for end in world.ends:
        end.at_once = history.at_once
    world.away = 2.0
    faults = world.faults = Points(world, at, history.together)

    def step() -> bool:
        faults.between()
        return world.is_over

    def live() -> None:
        go_on(world, QUIET, step, every=1)  # type: ignore[arg-type]

    problem = _live(world, live)
    return Played(
        history.name, at, faults.count, problem, world.kernel.now, tuple(world.trace.lines)
    )


def plan(world: World, peer: str, scripts: Sequence[Script]) -> None:
    """Say who is there, and what they say."""
    world.scripts = tuple(scripts)
    world.ends.append(End(world, 0, Ours))
    other = Ours if peer == "ours" else Stock
    leads = peer == "stock leads" or (peer == "stock dies" and world.random.random() < 0.5)
    world.ends.append(End(world, 1, other, leads=leads, mortal=peer == "stock dies"))
    if peer == "stock dies":
        world.ends[0].options["peer_timeout"] = 300.0


def _network(world: World, random: Random) -> None:
    """Say how the ends can reach each other."""
    ways = random.choice(("direct", "direct", "one way", "relay", "relay alone"))
    world.say("world", f"the network: {ways}")
    first = world.ends[0]
    if ways == "one way":
        first.options["no_listen"] = True
    elif ways.startswith("relay"):
        world.begin_relay()
        first.options["transit_relay_location"] = f"tcp:{RELAY}:{PORT}"
    if ways == "relay alone":
        world.lines.walled.update(end.address for end in world.ends)


def _script(random: Random, number: int, peers: Sequence[str]) -> Script:
    way = random.choice(peers or ("both", "both", "one way out", "one way in"))
    counts = [random.randint(1, 60), random.randint(1, 60)]
    if way == "one way out":
        counts[1] = 0
    elif way == "one way in":
        counts[0] = 0
    return Script(
        name="abc"[number],
        opener=random.randint(0, 1),
        counts=(counts[0], counts[1]),
        planned="planned" in peers or random.random() < 0.4,
        half=random.random() < 0.4,
        pace=random.choice((0.0, 0.05, 0.5, 2.0)),
        after=(random.choice((0.0, 0.0, 5.0)), random.choice((0.0, 0.0, 5.0))),
        burst=random.choice((1, 4, 20)),
        producer=random.choice(("", "", "push", "pull")),
        moody=random.random() < 0.3,
    )


def _live(world: World, live: Callable[[], None]) -> str:
    """Let it happen, and return what was wrong."""
    problem = ""
    with world.real():
        try:
            for end in world.ends:
                world.kernel.after(world.kernel.between(0, 2), end.begin)
            world.faults.begin()
            live()
            _check_end(world)
            check(world)  # type: ignore[arg-type]
        except Violation as error:
            problem = str(error)
        except Exception:  # noqa: BLE001 - whatever it was, it is told with its seed
            problem = traceback.format_exc()
        finally:
            world.closing = True
            for life in world.lives:
                life.kill()
            if world.relay is not None:
                world.relay.kill()
            gc.collect(1)
    if not problem and world.unhandled:
        problem = world.unhandled[0]
    return problem


def _check_end(world: World) -> None:
    """Everything is over: is it all in order?"""
    for end in world.ends:
        if not end.over:
            world.violate(f"{end.name} never comes to its end")
        world.watch.check_end(end)
    tables = world.server.tables()
    if not (world.violations or world.gone) and (tables.mailboxes or tables.nameplates):
        world.violate("something is left on the server")
