"""`Renewing`: the thread that renews the lease, while this process does its work."""

import threading
from collections.abc import Callable
from functools import partial

from attrs import define, field
from sqlalchemy.exc import SQLAlchemyError
from twisted.logger import Logger

from holdfast_journal.errors import DatabaseUnusable
from holdfast_journal.workers.liveness import Moving
from holdfast_journal.workers.term import Term

LOOKS = 6
"""How often in the time of a lease the thread looks whether this process moves."""
AGAIN = 1.0
"""Seconds between two attempts to renew, if the database does not answer."""

_log = Logger()


@define(eq=False)
class Renewing:
    """A thread for a registration. Its methods are for any other thread, and do not block."""

    moving: Moving
    """What must move for the lease to be renewed, however busy it is."""
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)
    _asked: list[Callable[[], object]] = field(factory=list, init=False, repr=False)
    _wake: threading.Event = field(factory=threading.Event, init=False, repr=False)
    _still: str = field(default="", init=False)
    """What was last said to stand still."""
    _at_end: Callable[[], object] | None = field(default=None, init=False, repr=False)

    def start(self, term: Term, renew: Callable[[], object]) -> None:
        """Call `renew`, which may raise errors of the database, until `end`."""
        work = partial(self._work, term, renew)
        self._thread = threading.Thread(target=work, name="lease", daemon=True)
        self._thread.start()

    def ask(self, then: Callable[[], object]) -> None:
        """Have the thread renew now, and call `then`, in that thread, as soon as the lease holds.

        For the reactor's thread.
        """
        self.moving.turned()
        self._asked.append(then)
        self._wake.set()

    def end(self) -> threading.Thread | None:
        """Let the thread end after what it is doing; it can be joined."""
        thread, self._thread = self._thread, None
        self._wake.set()
        return thread

    def leave(self, then: Callable[[], object]) -> None:
        """Have the thread call `then` when it ends, and do not wait for that."""
        self._at_end = then

    def _work(self, term: Term, renew: Callable[[], object]) -> None:
        while self._thread is threading.current_thread():
            delay = term.lease / LOOKS
            try:
                if self._moves(delay):
                    renew()
                else:
                    delay = min(delay, AGAIN)
            except (SQLAlchemyError, DatabaseUnusable):
                # Other parts, which need the database, report that it does not answer or was moved.
                delay = min(delay, AGAIN)
            if term.holds():
                while self._asked:
                    self._asked.pop()()
            self.moving.rests()
            self._wake.wait(delay)
            self._wake.clear()
        if self._at_end is not None:
            self._at_end()

    def _moves(self, patience: float) -> bool:
        """Whether this process does its work; says so when it does not, and when it does again."""
        still = self.moving.look(patience)
        if still is None:
            if self._still:
                _log.warn("{who} moves again", who=self._still)
            self._still = ""
            return True
        who, seconds, place = still
        if self._still != who:
            self._still = who
            _log.warn(
                "{who} has stood still for {seconds:.0f} seconds, in {place}; others will take the"
                " flows of this process if that goes on",
                who=who,
                seconds=seconds,
                place=place,
            )
        return False
