"""What goes wrong with dilated wormholes: at chance, or at one point after another."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from tests.simulation.dilation.happenings import HAPPENS
from tests.simulation.dilation.ours import Ours
from tests.simulation.kernel import Actor
from tests.simulation.lines import End as LineEnd

if TYPE_CHECKING:
    from tests.simulation.dilation.world import World

MOMENTS: Mapping[str, float] = {
    "death before COMMIT": 0.02,
    "death behind COMMIT": 0.02,
    "death before a frame": 0.02,
    "death behind a frame": 0.02,
    "death behind bytes on a line": 0.01,
    "line cut behind bytes": 0.01,
}
"""What may happen inside a step, and about which chance there is for it."""


class Faults:
    """What a world does to its ends; here: nothing."""

    def begin(self) -> None:
        """The world begins."""

    def calm(self) -> None:
        """From now on all is well."""

    def between(self) -> None:
        """Between two steps."""

    def news(self) -> None:
        """Something has passed a wire or a line."""

    def before_commit(self, process: Ours) -> None:
        """Everything is written, and nothing is durable."""

    def after_commit(self, process: Ours) -> None:
        """It is durable, and nobody knows."""

    def sends(self, process: Actor) -> None:
        """A frame is given to the mailbox server's connection."""

    def writes(self, line: LineEnd) -> None:
        """Bytes are given to a line."""

    def survivors(self, under_way: int) -> int:
        """Of so much that is under way when something breaks, how much arrives."""
        return under_way

    def commit_delay(self) -> float:
        """Seconds that a commit takes."""
        return 0.001


class Points(Faults):
    """Counts the points at which dying makes a difference, and strikes at some of them.

    Args:
        world: whose.
        at: where to strike.
        together: whether both ends die.
    """

    def __init__(self, world: World, at: tuple[int, ...], together: bool) -> None:
        self._world = world
        self._at = at
        self._together = together
        self._news = True
        self._lost = False
        self.count = 0
        self.counting = True

    def news(self) -> None:
        self._news = True

    def calm(self) -> None:
        self.counting = False

    def between(self) -> None:
        lives = self._lives()
        if self._news and lives and self._strikes("death between two steps"):
            for life in lives:
                life.kill()
        # What follows a death that strikes inside a step.
        self._lost = False

    def before_commit(self, process: Ours) -> None:
        if self._strikes("death before COMMIT"):
            process.die()

    def after_commit(self, process: Ours) -> None:
        self._news = True
        if self._strikes("death behind COMMIT"):
            process.die()

    def sends(self, process: Actor) -> None:
        if isinstance(process, Ours):
            if self._strikes("death behind a frame, which is lost with all that is under way"):
                self._lost = process.doomed = True
            elif self._strikes("death behind a frame, which arrives"):
                process.doomed = True
        self._news = True

    def writes(self, line: LineEnd) -> None:
        process = line.process
        if isinstance(process, Ours):
            if self._strikes("death behind bytes on a line, which are lost"):
                self._lost = process.doomed = True
            elif self._strikes("death behind bytes on a line, which arrive"):
                process.doomed = True
        self._news = True

    def survivors(self, under_way: int) -> int:
        return 0 if self._lost else under_way

    def _strikes(self, what: str) -> bool:
        if not self.counting:
            return False
        self._news = False
        self.count += 1
        if self.count not in self._at:
            return False
        self._world.say("fault", f"{what}, at point {self.count}")
        if self._together:
            current = self._world.kernel.current
            for life in self._lives():
                if life is not current:
                    life.kill()
        return True

    def _lives(self) -> list[Ours]:
        return [each for each in self._world.lives if isinstance(each, Ours)]


class Trouble(Faults):
    """The trouble of one seed: some kinds of it, at rates of its own."""

    def __init__(self, world: World, random: Random, more: Mapping[str, float]) -> None:
        self._world = world
        self._random = random
        self._slowness = random.choice((0.001, 0.01, 0.1, 1.0))
        self.active = True
        self.rates: dict[str, float] = {}
        share = random.choice((0.0, 0.2, 0.4, 0.7))
        for kind, chance in MOMENTS.items():
            if random.random() < share:
                self.rates[kind] = chance * random.uniform(0.2, 1.5)
        for kind in HAPPENS:
            if random.random() < share:
                self.rates[kind] = random.uniform(0.5, 12.0)
        self.rates |= more

    def begin(self) -> None:
        self._world.lines.slowest = self.rates.get("slowest", self._world.lines.slowest)
        for kind in HAPPENS:
            if kind in self.rates:
                self._plan(kind)

    def calm(self) -> None:
        self.active = False
        self._slowness = 0.01

    def commit_delay(self) -> float:
        return self._random.random() * self._slowness

    def survivors(self, under_way: int) -> int:
        return self._random.randint(0, under_way)

    def before_commit(self, process: Ours) -> None:
        if self._strikes("death before COMMIT"):
            process.die()

    def after_commit(self, process: Ours) -> None:
        if self._strikes("death behind COMMIT"):
            process.die()

    def sends(self, process: Actor) -> None:
        if isinstance(process, Ours):
            if self._strikes("death before a frame"):
                process.die()
            if self._strikes("death behind a frame"):
                process.doomed = True

    def writes(self, line: LineEnd) -> None:
        if isinstance(line.process, Ours) and self._strikes("death behind bytes on a line"):
            line.process.doomed = True
        elif self._strikes("line cut behind bytes"):
            self._world.kernel.after(0, partial(self._world.lines.cut, line))

    def _strikes(self, kind: str) -> bool:
        rate = self.rates.get(kind)
        if rate is None or not self.active or self._random.random() >= rate:
            return False
        self._world.count(kind)
        self._world.say("fault", kind)
        return True

    def _plan(self, kind: str) -> None:
        delay = self._random.expovariate(self.rates[kind] / 60)
        self._world.kernel.after(delay, partial(self._happens, kind))

    def _happens(self, kind: str) -> None:
        if self.active:
            if HAPPENS[kind](self._world):
                self._world.count(kind)
                self._world.say("fault", kind)
            self._plan(kind)
