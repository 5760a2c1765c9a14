"""Dilated wormholes of which one end dies, or both: real processes, real sockets, real peers."""

import json
import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.harness.dilated import DilatedPeers, wanted
from tests.harness.nursery import Death
from tests.harness.streams import Stream
from tests.kill.transfers import End
from tests.kill.world import AT_ONCE, World

PROGRAM = Path(__file__).parents[1] / "harness" / "dilated_end.py"


def new_code(world: World) -> str:
    """A code that nobody else has."""
    home = world.home()
    return f"{world.number(home)}-left-alone"


def our_end(
    world: World,
    code: str,
    streams: Iterable[Stream],
    deaths: Sequence[Death] = (),
    *,
    end: str = "a",
    **options: Any,
) -> End:
    """Our end, which is started again whenever it has died; `dilated_end` has the options."""
    asked = {"relay": world.server.url, "code": code, "end": end}
    asked |= {"streams": [stream.to_json() for stream in streams]} | options
    return End(world, world.home(), (json.dumps(asked),), deaths, program=PROGRAM)


def died_at(end: End) -> list[str]:
    """Where its lives have ended."""
    return [life.died_at for life in end.lives if life.died_at is not None]


def check_end(ours: End, streams: Iterable[Stream]) -> None:
    """Our end has all of it, and has logged no error."""
    end = json.loads(str(ours.words[0]))["end"]
    finished = ours.lives[-1].wait()
    assert finished.status == 0, ours.describe()
    told = json.loads(finished.out)
    assert (told["closed"], told["talks"]) == ("happy", wanted(streams, end)), ours.describe()
    assert not any(life.err for life in ours.lives), ours.describe()


def check_stock(stock: DilatedPeers, code: str, streams: Iterable[Stream]) -> None:
    """The stock peer has all of it, and has logged no error."""
    assert stock.talks(code) == wanted(streams, "b"), stock.describe(code)
    assert stock.leave(code) == "happy"
    assert stock.errors == [], stock.describe(code)


def somewhere(
    rng: random.Random, lives: int, steps: int = 60, *, sends: str = "data"
) -> list[Death]:
    """Deaths of so many lives, each at some moment of what happens once it is connected.

    Every other one has just sent data, which must have been durable by then, or something else.
    """
    return [
        Death(at=f"send-{sends}:after:{rng.randint(2, 8)}")
        if life % 2
        else Death(since="choose", step=rng.randint(1, steps))
        for life in range(lives)
    ]


def walk(exchange: Callable[[Death], End], every: int) -> None:
    """Let one exchange live undisturbed, then one die at each moment, or at every so many.

    They are counted and not named: what is sent at once differs from one life to the next. So some
    may be over before they come to theirs.
    """
    moments = exchange(Death()).lives[0].moments
    steps = range(every, len(moments) + 1, every)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ends = list(pool.map(lambda step: exchange(Death(step=step)), steps))
    assert len([end for end in ends if died_at(end)]) >= 0.9 * len(ends)
