"""Whether this process makes progress, and where in the code it stands if it does not.

A thread could renew a lease without end while the reactor, which does all the work, waits for
something in a user's function, or while the writer's thread waits for a statement that never ends.
Then other workers would wait for flows that no worker runs. So the thread that renews asks here
first.

The reactor is asked for a sign of life. If that does not come in time, the reactor counts as
standing still. So does the writer, if it has something to write and neither finishes nor tries
again.
"""

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from attrs import define, field

FRAMES = 12
"""How many places of a thread are reported, from the innermost outwards."""


def place_in(thread: int) -> str:
    """Where in its code a thread is, by its identifier: functions, lines, files, but no values."""
    frame: FrameType | None = sys._current_frames().get(thread)  # noqa: SLF001 - Python documents it
    places: list[str] = []
    while frame is not None and len(places) < FRAMES:
        code = frame.f_code
        file = code.co_filename.rpartition("/")[2]
        places.append(f"{code.co_name}, line {frame.f_lineno} of {file}")
        frame = frame.f_back
    return ", called in ".join(places) if places else "its thread has ended"


@define(eq=False)
class Moving:
    """What must move so that this process is alive: the reactor, and the writer's thread."""

    _call_in_reactor: Callable[[Callable[[], object]], object]
    _runs: Callable[[], bool]
    """Whether the reactor was started: a command may do much before that."""
    uptime: Callable[[], float]
    """Seconds, without jumps."""
    _asked_at: float | None = field(default=None, init=False)
    """When the reactor was asked for a sign of life that has not come."""
    _reactor: int | None = field(factory=lambda: threading.main_thread().ident, init=False)
    """The reactor's thread, the main one unless it is seen in another."""
    _writing_since: float | None = field(default=None, init=False)
    """When the writer last began, or tried again, what it has not finished."""
    _writer: int | None = field(default=None, init=False)
    _rests_since: float | None = field(default=None, init=False)
    """When the thread that looks went to sleep, to look again soon."""

    def look(self, patience: float) -> tuple[str, float, str] | None:
        """What stands still for longer than `patience` seconds, for how long, and where.

        For the thread that renews the lease, which `rests` for about `patience` in between.
        """
        now = self.uptime()
        # Not since the last look: a database may take long over what follows a look.
        before, self._rests_since = self._rests_since, None
        if before is not None and now - before > 2 * patience:
            # The whole process was paused, and no thread could give a sign.
            if self._asked_at is not None:
                self._asked_at = now
            if self._writing_since is not None:
                self._writing_since = now
        asked_at, writing_since = self._asked_at, self._writing_since
        if asked_at is None:
            self._asked_at = now
            self._call_in_reactor(self.turned)
        elif not self._runs():
            self._asked_at = now  # it gets to that when it begins
        elif now - asked_at > patience:
            return "the reactor", now - asked_at, place_in(self._reactor or 0)
        if self._writer is None or writing_since is None or now - writing_since <= patience:
            return None
        return "the journal's writer", now - writing_since, place_in(self._writer)

    def writing_for(self) -> float:
        """Seconds since the writer last began, or tried again, what it has not finished; or 0."""
        since = self._writing_since
        return 0.0 if since is None else self.uptime() - since

    def rests(self) -> None:
        """The thread that looks goes to sleep now."""
        self._rests_since = self.uptime()

    def turned(self) -> None:
        """The reactor turns: called in its thread."""
        self._reactor = threading.get_ident()
        self._asked_at = None

    def writes(self) -> None:
        """The writer begins, or tries again: called in its thread."""
        self._writer = threading.get_ident()
        self._writing_since = self.uptime()

    def has_written(self) -> None:
        """The writer has finished what it had, and waits for more: called in its thread."""
        self._writing_since = None


def moving(reactor: Any, uptime: Callable[[], float]) -> Moving:
    """What must move if `reactor` is Twisted's, or something like it."""
    return Moving(reactor.callFromThread, lambda: getattr(reactor, "running", True), uptime)
