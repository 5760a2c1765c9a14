"""What goes wrong, and how often: each seed has some kinds of trouble, at rates of its own."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from attrs import define, field

from tests.simulation import storage
from tests.simulation.kernel import Actor
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

CHANCES = {"refused": 0.002, "disk I/O error": 0.004, "outcome unknown": 0.03}

SELDOM = ("server away", "server forgets", "cancel", "disk I/O error", "refused", "clock jumps")


@define(eq=False, repr=False)
class Swarm(storage.Faults):
    """The trouble of one seed."""

    world: World
    rates: dict[str, float] = field(factory=dict)
    active: bool = True
    away: bool = False
    """Whether the database does not answer at all."""
    slowness: float = 0.003
    """Seconds that a transaction waits, before and after, at most."""

    @classmethod
    def draw(cls, world: World) -> Swarm:
        """Choose some kinds of trouble, and how much of each."""
        random = world.random
        swarm = cls(world)
        if random.random() < 0.1:
            return swarm  # all is well
        share = random.choice((0.1, 0.25, 0.5))
        for kind in MOMENTS:
            if random.random() < share * (0.5 if kind in SELDOM else 1):
                swarm.rates[kind] = random.uniform(0.2, 1.5) * CHANCES.get(kind, 0.02)
        for kind in HAPPENINGS:
            if random.random() < share * (0.4 if kind in SELDOM else 1):
                swarm.rates[kind] = random.uniform(0.3, 4.0) * (0.2 if kind in SELDOM else 1)
        return swarm

    def begin(self) -> None:
        for kind in HAPPENINGS:
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

    # Around transactions.

    def delay(self) -> float:
        return self.world.kernel.between(0, self.slowness)

    def before(self, actor: Actor, writes: bool) -> None:
        if self._strikes("death before BEGIN"):
            actor.die()
        if self.away:
            raise storage.error(*PASSING["cannot open"])
        for kind, told in PASSING.items():
            if (writes or kind != "full") and self._strikes(kind):
                raise storage.error(*told)

    def before_commit(self, actor: Actor) -> None:
        if self._strikes("death before COMMIT"):
            actor.die()
        if self._strikes("refused"):
            self.world.note("refused")
            raise storage.error("SQLITE_ERROR", "no such table")
        if self._strikes("disk I/O error"):
            raise storage.error("SQLITE_IOERR_FSYNC", "disk I/O error")

    def after_commit(self, actor: Actor) -> None:
        if self._strikes("death after COMMIT"):
            actor.die()
        if self._strikes("outcome unknown"):
            raise storage.error("SQLITE_BUSY", "database is locked")

    # Around frames.

    def sends(self, socket: Socket) -> None:
        """A life of ours writes to a socket."""
        if not isinstance(socket.process, Life):
            return
        if self._strikes("death before a frame"):
            socket.process.die()
        if self._strikes("death behind a frame"):
            socket.process.doomed = True


assert sqlite3.SQLITE_IOERR_FSYNC
