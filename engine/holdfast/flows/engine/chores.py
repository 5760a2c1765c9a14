"""Chores: what is done again and again, each as often as it needs, always in the same order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import inlineCallbacks, maybeDeferred


@define(eq=False)
class Chore:
    """One of them.

    Args:
        do: does it, and may return a Deferred; with False the others wait for their next time.
        every: seconds from one beginning to the next; 0 for every time.
    """

    do: Callable[[], object]
    every: float = 0.0
    _due_at: float = field(default=0.0, init=False)

    def is_due(self, now: float) -> bool:
        """Whether it is to be done `now`; if so, its next time is later."""
        if now < self._due_at:
            return False
        self._due_at = now + self.every
        return True

    def has_failed(self) -> None:
        """It is to be done next time: only then is known that what it needs is there again."""
        self._due_at = 0.0


@define(eq=False)
class Chores:
    """All of them.

    Args:
        seconds: a clock that never jumps.
        chores: what to do, in order.
    """

    _seconds: Callable[[], float]
    _chores: Sequence[Chore]
    _due_at: float = field(default=0.0, init=False)

    @property
    def are_due(self) -> bool:
        """Whether the pause behind the last time is over."""
        return self._seconds() >= self._due_at

    def hasten(self) -> None:
        """Do not wait for the end of the pause."""
        self._due_at = self._seconds()

    @inlineCallbacks
    def do(self, pause: float) -> Any:
        """Do what is due, and then pause for so many seconds."""
        for chore in self._chores:
            if not chore.is_due(self._seconds()):
                continue
            try:
                more = yield maybeDeferred(chore.do)
            except BaseException:
                chore.has_failed()
                raise
            if more is False:
                break
        self._due_at = self._seconds() + pause
