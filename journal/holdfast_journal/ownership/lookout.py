"""`Lookout`: the thread that looks into the database while its worker rests.

A worker without anything to do could look again and again by itself. Each time the reactor would
wake, and then a thread, and then the reactor again, and to wake a thread costs more than the look.
So this thread looks alone, and the reactor sleeps until there is something.
"""

import threading
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Final

from attrs import define, field, frozen
from sqlalchemy.exc import SQLAlchemyError

from holdfast_journal.commits.boundaries import Reactor
from holdfast_journal.errors import DatabaseUnusable

CLOSING = 1.0
"""Seconds for which `Lookout.end` waits for a look that is under way."""

SOON: Final = 4
"""Looks after which nothing is likely to happen soon: an operator's commands come together."""

SELDOM: Final = 4
"""How many times as long the thread waits between two looks from then on."""


def pauses_of(every: float) -> Iterator[float]:
    """Yield the seconds before each look of one rest, without an end."""
    yield from repeat(every, SOON)
    yield from repeat(every * SELDOM)


@frozen(eq=False)
class _Rest:
    """What to look for, and whom to tell."""

    is_still: Callable[[], bool]
    pauses: Iterator[float]
    then: Callable[[], object]


@define(eq=False)
class Lookout:
    """A thread that looks. Its methods are for the reactor's thread, and `begin` does not block."""

    _reactor: Reactor
    _rest: _Rest | None = field(default=None, init=False)
    _wake: threading.Event = field(factory=threading.Event, init=False, repr=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)

    def begin(self, is_still: Callable[[], bool], every: float, then: Callable[[], object]) -> None:
        """Ask `is_still` again and again; once that is False, or fails, call `then`, once.

        It is asked after every so many seconds, and `SELDOM` times as seldom after `SOON` looks.
        Whoever began before is not told any more.
        """
        self._rest = _Rest(is_still, pauses_of(every), then)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="lookout", daemon=True)
            self._thread.start()
        self._wake.set()

    def end(self) -> None:
        """Look no more."""
        thread, self._thread = self._thread, None
        self._wake.set()
        if thread is not None:
            thread.join(CLOSING)

    def _work(self) -> None:
        told: _Rest | None = None
        while self._thread is threading.current_thread():
            rest = self._rest
            if rest is None or rest is told:
                self._wake.wait()
            elif not self._wake.wait(next(rest.pauses)) and not _is_still(rest):
                told = rest
                self._reactor.callFromThread(rest.then)
            self._wake.clear()  # whatever it was for is seen above


def _is_still(rest: _Rest) -> bool:
    try:
        return rest.is_still()
    except (SQLAlchemyError, DatabaseUnusable):
        return False  # whoever looks then finds out what is wrong, and says so
