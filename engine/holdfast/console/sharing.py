"""What many viewers are shown is made once for all of them."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from attrs import define, field

T = TypeVar("T")


@define(eq=False)
class Shared(Generic[T]):
    """A value that is costly to make, and may be a little old. May be used in any thread.

    Args:
        make: makes it; blocks.
        seconds: how old it may be.
        clock: seconds that never jump.
    """

    _make: Callable[[], T]
    _seconds: float
    _clock: Callable[[], float]
    _lock: Lock = field(factory=Lock, init=False)
    _made: tuple[float, T] | None = field(default=None, init=False)

    def get(self) -> T:
        """Return the value. Raises what making it raises."""
        with self._lock:
            if self._made is None or self._clock() - self._made[0] >= self._seconds:
                self._made = self._clock(), self._make()
            return self._made[1]
