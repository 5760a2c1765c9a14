"""Deferreds that fire together, when something is known."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


class Waiting:
    """Something that becomes known once, or fails for good; callers may wait before or after."""

    __slots__ = ("_outcome", "_waiting")

    def __init__(self) -> None:
        self._outcome: Any = None
        """What is known, or an exception; None as long as nothing is."""
        self._waiting: list[Deferred[Any]] = []

    def wait(self) -> Deferred[Any]:
        """Return a Deferred of it."""
        waiting: Deferred[Any] = Deferred()
        self._waiting.append(waiting)
        self._tell()
        return waiting

    def know(self, outcome: Any) -> None:
        """It is known; the first time counts, but a later exception counts more."""
        if self._outcome is None or isinstance(outcome, BaseException):
            if not isinstance(self._outcome, BaseException):
                self._outcome = outcome
            self._tell()

    def _tell(self) -> None:
        if self._outcome is None:
            return
        told, self._waiting = self._waiting, []
        for waiting in told:
            if waiting.called:  # its caller has cancelled it
                continue
            if isinstance(self._outcome, BaseException):
                waiting.errback(Failure(self._outcome))
            else:
                waiting.callback(self._outcome)
