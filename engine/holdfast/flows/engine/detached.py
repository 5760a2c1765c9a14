"""Doing detached tasks: they belong to no flow that runs, but to whichever worker claims them.

Each look claims those that are due, as many as there is room for, and begins them. What became of
them is written at the next look. A worker that dies leaves its claims, which lapse.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from holdfast.flows.engine.executor import reason_of
from holdfast.flows.engine.scope import Scope
from holdfast.flows.tasks import Call, kind_of, kinds

if TYPE_CHECKING:
    from holdfast_journal import DetachedTask

AT_ONCE: Final = 20
"""How many are done at the same time in one process."""

MARGIN: Final = 30.0
"""Seconds for which a claim lasts longer than the task may take."""

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 3600.0
"""Seconds between two tries."""

TELL_EVERY: Final = 60.0
"""Seconds between two lines that say that some have failed."""

STOPPED: Final = "stopped with its worker"

_log = Logger()


def pause_after(attempts: int, chance: float) -> float:
    """Return the seconds to wait after so many tries; `chance` from 0 to 1 spreads them."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempts - 1, 20))
    return longest * (0.5 + chance / 2)


@define(eq=False)
class Detached:
    """Does the detached tasks that this engine may do.

    Args:
        scope: of which flows.
        look_soon: has the engine look as soon as it can.
    """

    _scope: Scope
    _look_soon: Callable[[], object]
    _running: dict[int, tuple[DetachedTask, Deferred[Any]]] = field(factory=dict, init=False)
    _reports: deque[Callable[[], object]] = field(factory=deque, init=False)
    """What became of tasks, to be written down."""
    _is_crowded: bool = field(default=False, init=False)
    """Whether there were more, at the last look, than there was room for."""
    _settling: list[Deferred[None]] = field(factory=list, init=False)
    _failures: int = field(default=0, init=False)
    """Since the last line that said so."""
    _tell_at: float = field(default=0.0, init=False)

    @inlineCallbacks
    def look(self) -> Any:
        """Write down what has ended, and begin what is due."""
        yield self._write_down()
        room = AT_ONCE - len(self._running)
        if room <= 0:
            return
        claim = partial(
            self._scope.journal.claim_detached,
            _leases(),
            limit=room,
            kinds=self._scope.kinds(),
            batch=self._scope.batch,
        )
        claimed = yield self._scope.in_thread(claim)
        self._is_crowded = len(claimed) == room
        for task in claimed:
            self._begin(task)
        if not self._running and not self._reports:
            settling, self._settling = self._settling, []
            for each in settling:
                each.callback(None)

    def settle(self) -> Deferred[None]:
        """Return a Deferred that fires when each that is due has been tried."""
        settled: Deferred[None] = Deferred()
        self._settling.append(settled)
        self._look_soon()
        return settled

    @inlineCallbacks
    def stop(self) -> Any:
        """Cut off what runs, so that another worker can do it at once."""
        for task, work in tuple(self._running.values()):
            self._reports.append(self._failed(task, STOPPED, self._scope.now()))
            work.cancel()
        yield self._write_down()

    @inlineCallbacks
    def _write_down(self) -> Any:
        while self._reports:
            yield self._scope.in_thread(self._reports[0])
            self._reports.popleft()

    def _begin(self, task: DetachedTask) -> None:
        kind = kind_of(task.name)
        if kind is None:  # only known ones are claimed
            return
        call = Call(json.loads(task.arguments), task.key, self._scope.reactor)
        if kind.blocks:
            work = self._scope.in_thread(kind.run, call)
        else:
            work = maybeDeferred(kind.run, call)
        self._running[task.id] = task, work
        work.addTimeout(kind.timeout, self._scope.reactor)
        work.addCallbacks(
            self._works,
            self._does_not,
            callbackArgs=(task,),
            errbackArgs=(task, kind.timeout),
        )
        work.addErrback(lambda failure: _log.failure("a detached task", failure))

    def _works(self, _: object, task: DetachedTask) -> None:
        if self._ends(task):
            self._reports.append(partial(self._scope.journal.detached_done, task))

    def _does_not(self, failure: Failure, task: DetachedTask, timeout: float) -> None:
        if not self._ends(task):
            return
        reason, final = reason_of(failure, timeout)
        if final:
            _log.error(
                "flow {flow}: {task}: {reason}; given up",
                flow=task.flow,
                task=task.name,
                reason=reason,
            )
            self._reports.append(partial(self._scope.journal.detached_done, task))
            return
        due_at = self._scope.now() + pause_after(task.attempts, random.random())  # noqa: S311
        self._reports.append(self._failed(task, reason, due_at))
        self._tell(task, reason)

    def _ends(self, task: DetachedTask) -> bool:
        if self._running.pop(task.id, None) is None or task.id in self._running:
            return False
        if self._is_crowded or self._settling:
            self._look_soon()
        return True

    def _failed(self, task: DetachedTask, reason: str, due_at: float) -> Callable[[], object]:
        return partial(self._scope.journal.detached_failed, task, reason, due_at)

    def _tell(self, task: DetachedTask, reason: str) -> None:
        self._failures += 1
        if self._scope.seconds() < self._tell_at:
            return
        _log.warn(
            "{task} of flow {flow}: {reason}; it will be tried again ({number} failed since the"
            " last such line)",
            task=task.name,
            flow=task.flow,
            reason=reason,
            number=self._failures,
        )
        self._failures = 0
        self._tell_at = self._scope.seconds() + TELL_EVERY


def _leases() -> Mapping[str, float]:
    """How long each task that is known here may be claimed for."""
    known = ((name, kind_of(name)) for name in kinds())
    return {name: kind.timeout + MARGIN for name, kind in known if kind is not None}
