"""Flows whose last process ended: whether this one outlives their beginning."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from attrs import define, field

from holdfast_journal import TakenFlow

PROBATION: Final = 3.0
"""Seconds after which a flow is not taken for what ended the process that ran it before."""

SUSPECTS_EVERY: Final = 2.0
"""Seconds between two looks for suspects."""


@define
class Probation:
    """Who has not outlived it yet. Times are seconds of a clock that never jumps."""

    _until: dict[int, float] = field(factory=dict, init=False)
    _look_at: float = field(default=0.0, init=False)

    def begin(self, taken: TakenFlow, now: float) -> None:
        """A flow begins here."""
        if taken.deaths:
            self._until[taken.id] = now + PROBATION

    def survivors(self, running: Collection[int], now: float) -> list[int]:
        """Return, once, the flows among those that are running that have outlived it."""
        # What is not run any more was given back, or is over.
        self._until = {flow: until for flow, until in self._until.items() if flow in running}
        found = [flow for flow, until in self._until.items() if until <= now]
        for flow in found:
            del self._until[flow]
        return found

    def wants_suspects(self, now: float) -> bool:
        """Whether suspects may be tried now: nobody else is, and it is time to look."""
        if self._until or now < self._look_at:
            return False
        self._look_at = now + SUSPECTS_EVERY
        return True
