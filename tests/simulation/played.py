"""What came of a history."""

from __future__ import annotations

import shlex

from attrs import field, frozen


@frozen
class Played:
    """What came of a history in which processes died at these points."""

    history: str
    at: tuple[int, ...]
    points: int
    """How many there were."""
    problem: str
    seconds: float
    trace: tuple[str, ...] = field(default=(), repr=False)

    @property
    def replay(self) -> str:
        told = f"python -m tests.simulation.crashes --history {shlex.quote(self.history)}"
        for option, point in zip(("--at", "--then"), self.at, strict=False):
            told += f" {option} {point}"
        return told

    def __str__(self) -> str:
        lines = self.problem.strip().splitlines() or ["well"]
        return f"{lines[-1]}\n  {self.replay}"
