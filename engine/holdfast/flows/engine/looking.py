"""Looking into the database again and again, also through times when it does not answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.python.failure import Failure

from holdfast_journal import DatabaseAway, Pressure

LOOK_EVERY: Final = 0.5
"""Seconds between two looks into the database."""

LONGEST_REST: Final = 30.0
"""Seconds until the next look at most, if all is still and somebody else looks out."""

LONGEST_DELAY: Final = 5.0
"""Seconds until the next look at most, while the database does not answer."""


@define(eq=False)
class Looking:
    """Calls `look`, which returns a Deferred, until it is stopped.

    Args:
        reactor: Twisted's reactor.
        pressure: where it is told that the database does not answer.
        who: one word for this look, of which there may be several in a process.
        look: what to do; the next one begins after its Deferred has fired: at once if that fires
            with True, because there is more to be done, or after so many seconds if with a float.
    """

    _reactor: Any
    _pressure: Pressure
    _who: str
    _look: Callable[[], Deferred[Any]]
    _delay: float = field(default=LOOK_EVERY, init=False)
    _failing: bool = field(default=False, init=False)
    _hurried: bool = field(default=False, init=False)
    """Whether the next look does not wait for its time."""
    _next: Any = field(default=None, init=False)
    _under_way: Deferred[None] | None = field(default=None, init=False)
    _over: Deferred[None] | None = field(default=None, init=False)

    @property
    def running(self) -> bool:
        """Whether there will be another look."""
        return self._over is not None

    def start(self) -> Deferred[None]:
        """Look now, and from now on.

        Returns:
            A Deferred that fires when `stop` is called; or fails when a look does, unless it fails
            with DatabaseAway: then it is tried again, later each time.
        """
        over = self._over = Deferred()
        self._now()
        return over

    def hurry(self) -> None:
        """Look in another turn of the reactor, or once the look that is under way is over.

        If the database does not answer, the next look still waits for its time.
        """
        if not self._hurried:
            self._hurried = True
            if self._next is not None and not self._failing:
                self._next.cancel()
                self._again(LOOK_EVERY)

    def stop(self) -> Deferred[None]:
        """Look no more.

        Returns:
            A Deferred that fires when no look is under way.
        """
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._end(None)
        if self._under_way is None:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._under_way.chainDeferred(waiting)
        return waiting

    def _now(self) -> None:
        self._next, self._hurried = None, False
        self._under_way = Deferred()
        maybeDeferred(self._look).addCallbacks(self._well, self._ill).addErrback(self._end)

    def _well(self, more: object) -> None:
        self._delay, self._failing = LOOK_EVERY, False
        self._hurried |= more is True
        self._pressure.answers(self._who)
        self._again(more if isinstance(more, float) else LOOK_EVERY)

    def _ill(self, failure: Failure) -> None:
        if not isinstance(failure.value, DatabaseAway):
            self._done()
            self._end(failure)
            return
        self._pressure.fails(self._who, failure.value.why)
        self._delay, self._failing = min(2 * self._delay, LONGEST_DELAY), True
        self._hurried = False
        self._again(self._delay)

    def _again(self, delay: float) -> None:
        if self.running:
            self._next = self._reactor.callLater(0.0 if self._hurried else delay, self._now)
        self._done()

    def _done(self) -> None:
        done, self._under_way = self._under_way, None
        if done is not None:
            done.callback(None)

    def _end(self, failure: Failure | None) -> None:
        over, self._over = self._over, None
        if over is not None:
            over.callback(failure)
