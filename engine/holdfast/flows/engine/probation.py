"""Flows whose last process ended: whether this one outlives their beginning."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from math import inf
from typing import Final

from attrs import define, field

PROBATION: Final = 2.0
"""Seconds after which a flow is no longer suspected of ending the process that ran it before.
Short, so that a worker that is killed again and again is seldom killed within them."""

SUSPECTS_EVERY: Final = 2.0
"""Seconds between two looks for suspects."""


@define
class Probation:
    """The flows that this process has not outlived yet.

    Times are seconds of a clock that never jumps.
    """

    _flows: set[int] = field(factory=set, init=False)
    _look_at: float = field(default=-inf, init=False)

    def begin(self, flows: Iterable[int]) -> None:
        """These flows begin here."""
        self._flows.update(flows)

    def end(self, flows: Iterable[int], running: Collection[int]) -> list[int]:
        """Their time is over; return those that are still running."""
        self._flows.difference_update(flows)
        return [flow for flow in flows if flow in running]

    def wants_suspects(self, now: float) -> bool:
        """Whether suspects may be tried now.

        Only if no other flow has just begun, and the process has lived for a while without
        suspects: otherwise they would be blamed for what others did.
        """
        if self._look_at == -inf:
            self._look_at = now + PROBATION
        if self._flows or now < self._look_at:
            return False
        self._look_at = now + SUSPECTS_EVERY
        return True
