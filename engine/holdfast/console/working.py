"""The console carries out jobs, in a thread of its own, for as long as it runs.

Each part of a job is a small transaction; a console that is killed leaves the rest to the next.
"""

from __future__ import annotations

from threading import Event
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from holdfast.operating.jobs import Runner
from holdfast_journal import DatabaseUnusable

LOOK_EVERY: Final = 0.5
"""Seconds between two looks for jobs."""

PAUSE: Final = 0.05
"""Seconds between two parts of a job. SQLite lets whoever asks write, in no order: without a pause,
a worker waited for up to 1.5 seconds in a trial with 5,000 flows, and with it 0.06."""

_log = Logger()


@define(eq=False)
class Working:
    """Looks for jobs, and has them done.

    Args:
        runner: what does them.
        pool: threads, of which it uses one.
        reactor: Twisted's.
    """

    _runner: Runner
    _pool: ThreadPool
    _reactor: Any
    _ended: Event = field(factory=Event, init=False)
    _looks: LoopingCall = field(init=False)

    @_looks.default
    def _looking(self) -> LoopingCall:
        looks = LoopingCall(self._look)
        looks.clock = self._reactor
        return looks

    def start(self) -> None:
        """Begin to look."""
        self._looks.start(LOOK_EVERY)

    def stop(self) -> None:
        """End after the part that is being done; wait for the pool to end."""
        self._ended.set()
        if self._looks.running:
            self._looks.stop()

    async def _in_thread(self) -> None:
        try:
            await deferToThreadPool(self._reactor, self._pool, self._work)
        except DatabaseUnusable as error:
            _log.warn("jobs wait: {error}", error=error)
        except Exception:  # noqa: BLE001 - that job was given up; others go on
            _log.failure("a job was given up")

    def _look(self) -> Any:
        return Deferred.fromCoroutine(self._in_thread())

    def _work(self) -> None:
        while not self._ended.is_set() and self._runner.work():
            self._ended.wait(PAUSE)
