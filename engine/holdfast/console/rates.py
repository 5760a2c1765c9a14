"""How often somebody may ask: a bucket for each that refills, and a bounded number of buckets."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from attrs import define, field


@define(eq=False)
class Rates:
    """Bounds what each name may do in a time. Used in the reactor's thread.

    Args:
        burst: how much at once.
        each: seconds after which one more is allowed.
        now: seconds that never jump.
        most: how many names are remembered; whoever is forgotten begins anew.
    """

    _burst: int
    _each: float
    _now: Callable[[], float]
    _most: int = 10_000
    _full_at: OrderedDict[str, float] = field(factory=OrderedDict, init=False)
    """When each name has its whole burst again."""

    def wait(self, name: str) -> float:
        """Return for how many seconds a name must wait; 0 if it may do one more thing."""
        return max(0.0, self._ahead(name) - (self._burst - 1) * self._each)

    def take(self, name: str) -> float:
        """As `wait`, and if it is 0 count the thing as done."""
        wait = self.wait(name)
        if wait == 0:
            ahead = self._ahead(name) + self._each
            self._full_at[name] = self._now() + ahead
            self._full_at.move_to_end(name)
            while len(self._full_at) > self._most:
                self._full_at.popitem(last=False)
        return wait

    def _ahead(self, name: str) -> float:
        return max(0.0, self._full_at.get(name, 0.0) - self._now())
