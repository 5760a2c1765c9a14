"""Running seeds until one of them finds a mutant."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context

from attrs import frozen

from tests.simulation.mutants import MUTANTS, Gone

STALE = re.compile(r"\b(?:AttributeError|NameError|TypeError)\b")
"""What goes wrong if a mutant does not fit the code any more: that is no wonder, and no find."""


@frozen
class Found:
    """What came of a mutant."""

    name: str
    seeds: int
    """How many were run."""
    seed: int | None
    """The one that found it, None if none did."""
    problem: str
    seconds: float

    @property
    def violated(self) -> str:
        """The problem in one line."""
        lines = self.problem.strip().splitlines() or ["nothing"]
        return lines[-1] if lines[0].startswith("Traceback") else lines[0]


def hunt(
    names: Iterable[str], first: int = 0, most: int | None = None, jobs: int | None = None
) -> Iterator[Found]:
    """Try mutants, each in a process of its own, with its own limit unless there is another."""
    names = list(names)
    fresh = get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=fresh, max_tasks_per_child=1) as pool:
        yield from pool.map(search, names, repeat(first), repeat(most))


def search(name: str, first: int = 0, most: int | None = None) -> Found:
    """Run seeds under a mutant until one fails that is well without it. Raises Gone."""
    mutant = MUTANTS[name]
    began = time.monotonic()
    limit = mutant.within if most is None else most
    for seed in range(first, first + limit):
        problem = mutant.run(seed).problem
        if STALE.search(problem):
            raise Gone(f"{name} cannot be run any more: {problem}")
        if problem and not mutant.run_whole(seed).problem:
            return Found(name, seed - first + 1, seed, problem, time.monotonic() - began)
    return Found(name, limit, None, "", time.monotonic() - began)
