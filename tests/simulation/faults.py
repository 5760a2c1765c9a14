"""What goes wrong, and how often: each seed has some kinds of trouble, at rates of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from attrs import define, field

from tests.simulation import storage, threads
from tests.simulation.kernel import Actor
from tests.simulation.lines import End
from tests.simulation.network import Socket
from tests.simulation.process import Life

if TYPE_CHECKING:
    from tests.simulation.world import World

PASSING = {
    "busy": ("SQLITE_BUSY", "database is locked"),
    "full": ("SQLITE_FULL", "database or disk is full"),
    "cannot open": ("SQLITE_CANTOPEN", "unable to open database file"),
}

MOMENTS = (
    "death before BEGIN",
    "death before COMMIT",
    "death after COMMIT",
    "outcome unknown",
    "death before a frame",
    "death behind a frame",
    "refused",
    "disk I/O error",
    *PASSING,
)
"""What may happen inside a step; the rate is a chance for each occasion."""

HAPPENINGS = (
    "death",
    "clean stop",
    "second runner",
    "pause",
    "cut",
    "half dead",
    "slow network",
    "refusals",
    "server restart",
    "server away",
    "server forgets",
    "storage away",
    "slow storage",
    "clock jumps",
    "cancel",
    "retry",
    "stranger",
)
"""What happens between steps; the rate is a number in a minute."""

WATCHING = ("watcher forgotten", "backup", "offer changes")
"""What happens to a server that watches; only where one does."""

AT_ARRIVALS = (
    "arrival lost in a cut",
    "arrival lost in silence",
    "arrival told twice",
    "server dies before it tells",
)
"""What may happen to a notification."""

LINES = ("line cut", "dead line", "slow lines")
"""What happens to direct connections; only where files are transferred."""

AT_LINES = {"death at the disk": 0.04, "death behind bytes on a line": 0.02}
"""What may happen inside a step of a transfer, and the chance."""

OWN = ("standstill", *LINES, *WATCHING)
"""Of these too, with chances of their own, which leave others as they are."""

PAUSES = ("pause around a commit", "pause behind a task")
"""The worst moments for a pause; with chances of their own, which leave others as they are."""

CHANCES = {"refused": 0.002, "disk I/O error": 0.004, "outcome unknown": 0.03}

COMMIT_FAILS = 0.02
"""The chance of it where outcomes are unknown: who sees an error cannot tell the two apart."""

SELDOM = ("server away", "server forgets", "cancel", "disk I/O error", "refused", "clock jumps")


@define(eq=False, repr=False)
class Swarm(storage.Faults):
    """The trouble of one seed."""

    world: World
    rates: dict[str, float] = field(factory=dict)
    active: bool = True
    away: bool = False
    """Whether the database does not answer at all."""
    _unknown: Callable[[], float] = field(init=False)
    """Chance of its own: whether a commit fails leaves the other chances as they are."""
    _loading: Callable[[], float] = field(init=False)
    """Likewise for what cannot be loaded."""
    slowness: float = 0.003
    """Seconds that a transaction waits, before and after, at most."""

    def __attrs_post_init__(self) -> None:
        self._unknown = Random(f"{self.world.seed} commits").random
        self._loading = Random(f"{self.world.seed} loading").random

    @classmethod
    def draw(cls, world: World) -> Swarm:
        """Choose some kinds of trouble, and how much of each."""
        random = world.random
        swarm, own = cls(world), Random(f"{world.seed} pauses")
        if random.random() < 0.1:
            return swarm  # all is well
        share = random.choice((0.1, 0.25, 0.5))
        for kind in MOMENTS:
            if random.random() < share * (0.5 if kind in SELDOM else 1):
                swarm.rates[kind] = random.uniform(0.2, 1.5) * CHANCES.get(kind, 0.02)
        for kind in HAPPENINGS:
            if random.random() < share * (0.4 if kind in SELDOM else 1):
                swarm.rates[kind] = random.uniform(0.3, 4.0) * (0.2 if kind in SELDOM else 1)
        if "pause" in swarm.rates:
            swarm.rates |= {kind: 0.04 for kind in PAUSES if own.random() < 0.3}
        if Random(f"{world.seed} release").random() < 0.2:
            swarm.rates["bad release"] = 0.2
        if Random(f"{world.seed} stuck").random() < 0.2:
            swarm.rates["standstill"] = 2.0
        if Random(f"{world.seed} tries").random() < 0.2:
            swarm.rates["death inside a try"] = 0.3
        return swarm

    def draw_for_lines(self) -> None:
        """Choose what happens to transfers."""
        own = Random(f"{self.world.seed} lines")
        for kind in LINES:
            if own.random() < 0.4:
                self.rates[kind] = own.uniform(1.0, 10.0)
        for kind, chance in AT_LINES.items():
            if own.random() < 0.3:
                self.rates[kind] = chance

    def draw_for_watching(self) -> None:
        """Choose what happens to a server that watches, if anything goes wrong at all."""
        own = Random(f"{self.world.seed} watched")
        if not self.rates:
            return
        for kind in WATCHING:
            if own.random() < 0.3:
                self.rates[kind] = own.uniform(0.5, 2.0)
        for kind in AT_ARRIVALS:
            if own.random() < 0.3:
                self.rates[kind] = 0.4

    def begin(self) -> None:
        for kind in (*HAPPENINGS, *OWN):
            if kind in self.rates:
                self._plan(kind)

    def calm(self) -> None:
        """From now on all is well."""
        self.active = self.away = False
        self.slowness = 0.003

    def _plan(self, kind: str) -> None:
        delay = self.world.random.expovariate(self.rates[kind] / 60)
        self.world.kernel.after(delay, lambda: self._happens(kind))

    def _happens(self, kind: str) -> None:
        if self.active:
            from tests.simulation.happenings import HAPPENS

            if HAPPENS[kind](self.world):
                self.world.count(kind)
            self._plan(kind)

    def _strikes(self, kind: str) -> bool:
        rate = self.rates.get(kind)
        if rate is None or not self.active or self.world.random.random() >= rate:
            return False
        self.world.count(kind)
        self.world.say("fault", kind)
        return True

    def dies_inside(self) -> bool:
        """Whether a process dies inside the try that it has begun."""
        return self._strikes("death inside a try")

    @property
    def bad_release(self) -> bool:
        """Whether the releases of this world cannot load every flow at any time."""
        return "bad release" in self.rates

    def cannot_load(self) -> bool:
        """Whether the flow that is being loaded cannot be."""
        if not self.active or self._loading() >= self.rates.get("bad release", 0.0):
            return False
        self.world.count("bad release")
        self.world.say("fault", "bad release")
        return True

    def stand_still(self, kind: str, process: Actor, within: float) -> None:
        """Pause a process in so many seconds, if that is what goes wrong now."""
        if kind in self.rates and isinstance(process, Life) and self._strikes(kind):
            from tests.simulation.happenings import stand_still

            after = self.world.kernel.between(0, within)
            self.world.kernel.after(after, partial(stand_still, self.world, process))

    # Around transactions.

    def delay(self) -> float:
        thread = threads.this_thread()
        if thread is not None and thread.name == "journal":
            self.stand_still("pause around a commit", thread.actor, 0.0)
        return self.world.kernel.between(0, self.slowness)

    def before(self, actor: Actor, writes: bool) -> None:
        if self._strikes("death before BEGIN"):
            actor.die()
        if self.away:
            if isinstance(actor, Life) and actor.waits_since is None and waits(actor):
                actor.waits_since = self.world.kernel.now
            raise storage.error(*PASSING["cannot open"])
        for kind, told in PASSING.items():
            if (writes or kind != "full") and self._strikes(kind):
                raise storage.error(*told)

    def before_commit(self, actor: Actor) -> None:
        if self._strikes("death before COMMIT"):
            actor.die()
        if "outcome unknown" in self.rates and self.active and self._unknown() < COMMIT_FAILS:
            self.world.count("commit failed, outcome unknown")
            self.world.say("fault", "commit failed, outcome unknown")
            raise storage.error(*PASSING["busy"])
        if self._strikes("refused"):
            self.world.note("refused")
            raise storage.error("SQLITE_ERROR", "no such table")
        if self._strikes("disk I/O error"):
            raise storage.error("SQLITE_IOERR_FSYNC", "disk I/O error")

    def answered(self, actor: Actor) -> None:
        if isinstance(actor, Life):
            actor.waits_since = None

    def after_commit(self, actor: Actor) -> None:
        if self._strikes("death after COMMIT"):
            actor.die()
        if self._strikes("outcome unknown"):
            raise storage.error("SQLITE_BUSY", "database is locked")

    def arrives(self, socket: Socket, text: str) -> None:
        """The server tells of an arrival."""
        from tests.simulation.happenings import ARRIVES

        for kind in AT_ARRIVALS:
            if kind in self.rates and self._strikes(kind):
                ARRIVES[kind](self.world, socket, text)
                return

    # Around what a file's end is made of, and what passes a line.

    def at_disk(self, actor: Actor) -> None:
        """A step on the disk is about to be taken."""
        if isinstance(actor, Life) and self._strikes("death at the disk"):
            actor.die()

    def behind_disk(self, actor: Actor) -> None:
        """It was taken."""
        self.at_disk(actor)

    def writes(self, end: End) -> None:
        """Bytes are given to a line."""
        if isinstance(end.process, Life) and self._strikes("death behind bytes on a line"):
            end.process.doomed = True

    # Around frames.

    def sends(self, socket: Socket) -> None:
        """A life of ours writes to a socket."""
        if not isinstance(socket.process, Life):
            return
        if self._strikes("death before a frame"):
            socket.process.die()
        if self._strikes("death behind a frame"):
            socket.process.doomed = True


def waits(life: Life) -> bool:
    """Whether this is done by one of those who say that the database does not answer."""
    thread = threads.this_thread()
    return thread is not None and thread.name in ("journal", "pool") and not life.stopping


assert sqlite3.SQLITE_IOERR_FSYNC
