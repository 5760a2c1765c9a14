"""Doing detached tasks: they belong to no flow that runs, but to whichever worker claims them.

Each look claims those that are due, as many as there is room for, and begins them. What became of
them is written at the next look. A claim is short, and is renewed while its task runs; those of a
worker that dies lapse.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import Logger
from twisted.python.failure import Failure

from holdfast.flows.engine.executor import reason_of
from holdfast.flows.engine.observing import Observer
from holdfast.flows.engine.scope import Scope
from holdfast.flows.tasks import Call, kind_of, kinds
from holdfast_journal.errors import Unreadable, WrongKey

if TYPE_CHECKING:
    from holdfast_journal import DetachedTask

AT_ONCE: Final = 20
"""How many are done at the same time in one process."""

CLAIM: Final = 20.0
"""Seconds for which a task is ours; if we die, it is done by nobody for so long."""

RENEW_EVERY: Final = 5.0
"""Seconds between two times that our claims begin anew."""

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 3600.0
"""Seconds between two tries."""

LOOK_EVERY: Final = 30.0
"""Seconds between two looks for what other workers have left."""

LEEWAY: Final = 0.01
"""Seconds by which the clock of the database may be behind the reactor's."""

TELL_EVERY: Final = 60.0
"""Seconds between two lines that say that some have failed."""

STOPPED: Final = "stopped with its worker"

_log = Logger()


def pause_after(attempts: int, chance: float) -> float:
    """Return the seconds to wait after so many tries; `chance` from 0 to 1 spreads them."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempts - 1, 20))
    return longest * (0.5 + chance / 2)


@frozen
class _Try:
    """A task that runs, and the Deferred of its end."""

    task: DetachedTask
    work: Deferred[Any]


@define(eq=False)
class Detached:
    """Does the detached tasks that this engine may do.

    Args:
        scope: of which flows.
        look_soon: has the engine look as soon as it can.
        observer: hears of each try that has ended.
    """

    _scope: Scope
    _look_soon: Callable[[], object]
    _observer: Observer
    _running: dict[tuple[int, int], _Try] = field(factory=dict, init=False)
    _renew_at: float = field(default=0.0, init=False)
    _reports: deque[Callable[[], object]] = field(factory=deque, init=False)
    """What became of tasks, to be written down."""
    _look_at: float = field(default=0.0, init=False)
    """When some may be due, by the reactor's clock."""
    _again_at: list[float] = field(factory=list, init=False)
    """When those are due again that have failed here, by the same clock: a heap."""
    _settling: list[Deferred[None]] = field(factory=list, init=False)
    _is_stopping: bool = field(default=False, init=False)
    _failures: int = field(default=0, init=False)
    """Since the last line that said so."""
    _tell_at: float = field(default=0.0, init=False)

    def rests_until(self, until: float) -> float:
        """Return until when at most it has nothing to do, by the reactor's clock."""
        return -inf if self._running or self._reports else min(until, self._look_at)

    def hasten(self) -> None:
        """There may be some that are due."""
        self._look_at = 0.0
        self._look_soon()

    @inlineCallbacks
    def look(self) -> Any:
        """Write down what has ended, and begin what is due."""
        yield self.write_down()
        yield self._renew()
        room = AT_ONCE - len(self._running)
        if self._scope.seconds() < self._look_at or not room:
            return
        self._look_at = self._next_look()
        claimed: list[DetachedTask] = []
        try:
            claimed = yield self._scope.claim_detached(dict.fromkeys(kinds(), CLAIM), room)
        except (WrongKey, Unreadable) as error:
            _log.warn("hooks are not told from here: {error}", error=error)
        if len(claimed) == room:
            self._look_at = 0.0
        for task in claimed:
            self._begin(task)
        yield self.write_down()
        if not self._running and not self._reports:
            settling, self._settling = self._settling, []
            for each in settling:
                each.callback(None)

    def settle(self) -> Deferred[None]:
        """Return a Deferred that fires when each that is due has been tried."""
        settled: Deferred[None] = Deferred()
        self._settling.append(settled)
        self.hasten()
        return settled

    def cut_off(self) -> None:
        """Stop what runs; once that is written down, another worker can do it at once."""
        self._is_stopping = True
        for each in tuple(self._running.values()):
            each.work.cancel()

    @inlineCallbacks
    def write_down(self) -> Any:
        """Tell the database what has ended. Fails with DatabaseUnusable."""
        while self._reports:
            yield self._scope.in_thread(self._reports[0])
            self._reports.popleft()

    @inlineCallbacks
    def _renew(self) -> Any:
        """Keep what takes longer, so that nobody else begins it."""
        now = self._scope.seconds()
        if self._running and now < self._renew_at:
            return
        self._renew_at = now + RENEW_EVERY
        running = [each.task for each in self._running.values()]
        if running:
            journal = self._scope.journal
            yield self._scope.in_thread(journal.detached_goes_on, running, CLAIM)

    def _begin(self, task: DetachedTask) -> None:
        kind = kind_of(task.name)
        if kind is None:  # only known ones are claimed
            return
        call = Call(json.loads(task.arguments), task.key, self._scope.reactor)
        if kind.blocks:
            work = self._scope.in_thread(kind.run, call)
        else:
            work = maybeDeferred(kind.run, call)
        # By the try: this process may have been paused for so long that it claims a task again.
        self._running[task.id, task.attempts] = _Try(task, work)
        work.addTimeout(kind.timeout, self._scope.reactor, _late)
        observed = partial(self._observed, task.name, self._scope.seconds())
        work.addBoth(self._over, task, kind.timeout, observed)

    def _over(
        self, result: object, task: DetachedTask, timeout: float, observed: Callable[[str], object]
    ) -> None:
        del self._running[task.id, task.attempts]
        if not isinstance(result, Failure):
            observed("done")
            _log.info(
                "{task} of flow {flow} is done, at try {tries}",
                task=task.name,
                flow=task.flow,
                tries=task.attempts,
            )
            self._reports.append(partial(self._scope.journal.detached_done, task))
        elif self._is_stopping:
            self._failed(task, STOPPED, 0.0)
        else:
            reason, final = reason_of(result, timeout)
            self._ended_badly(task, reason, observed, final=final)
        if self._settling:
            self._look_at = 0.0
        if not self._is_stopping:
            self._look_soon()

    def _ended_badly(
        self,
        task: DetachedTask,
        reason: str,
        observed: Callable[[str], object],
        *,
        final: bool,
    ) -> None:
        observed("failed" if final else "again")
        if final:
            _log.error("{task} of flow {flow} is given up: {reason}", **_words(task, reason))
            self._reports.append(partial(self._scope.journal.detached_done, task))
        else:
            self._failed(task, reason, pause_after(task.attempts, random.random()))  # noqa: S311
            self._tell(task, reason)

    def _observed(self, name: str, began: float, outcome: str) -> None:
        self._observer.tried(name, outcome, self._scope.seconds() - began)

    def _next_look(self) -> float:
        now = self._scope.seconds()
        while self._again_at and self._again_at[0] <= now:
            heappop(self._again_at)
        return min([now + LOOK_EVERY, *self._again_at[:1]])

    def _failed(self, task: DetachedTask, reason: str, pause: float) -> None:
        failed = self._scope.journal.detached_failed
        self._reports.append(partial(failed, task, reason, self._scope.now() + pause))
        heappush(self._again_at, self._scope.seconds() + pause + LEEWAY)
        self._look_at = min(self._look_at, self._again_at[0])

    def _tell(self, task: DetachedTask, reason: str) -> None:
        self._failures += 1
        if self._scope.seconds() < self._tell_at:
            return
        _log.warn(
            "{task} of flow {flow}: {reason}; it will be tried again ({number} failed since the"
            " last such line)",
            number=self._failures,
            **_words(task, reason),
        )
        self._failures = 0
        self._tell_at = self._scope.seconds() + TELL_EVERY


def _late(_result: object, _timeout: float) -> Failure:
    """Say so, whatever the task's function made of being cancelled."""
    return Failure(DeferredTimeout())


def _words(task: DetachedTask, reason: str) -> dict[str, str]:
    return {"task": task.name, "flow": task.flow, "reason": reason}
