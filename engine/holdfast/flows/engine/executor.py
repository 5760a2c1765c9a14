"""Running the tasks of all flows: how many at once, when again, and what became of each try.

A try is counted before it begins, so that one which ends its process counts as well.
`Task.attempts` is how many were begun, and `Task.error` why the last one failed. While a try runs
that is INTERRUPTED, which becomes true if the process ends before it can write anything else.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from attrs import define, evolve, field
from twisted.internet.defer import CancelledError
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import Logger
from twisted.python.failure import Failure

from holdfast.flows.engine.observing import UNOBSERVED, Observer
from holdfast.flows.engine.threads import DaemonThreads, Threads
from holdfast.flows.engine.tries import Customer, Places, Try
from holdfast.flows.tasks import Call, TaskFailed, kind_of
from holdfast_journal import INTERRUPTED, Task

FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 60.0
"""Seconds between two tries of a task."""

COUNTED_WHEN_ASKED: Final = 3
"""Tries from which the first one is counted in the entry that asks for the task, which saves a
commit. If the process ends while the try waits for its place, it was counted in vain; a task with
fewer tries cannot spare one for that."""

_log = Logger()


def asked(task: Task) -> Task:
    """Return `task` as it is written down when it is asked for."""
    kind = kind_of(task.name)
    if kind is None or kind.tries < COUNTED_WHEN_ASKED:
        return task
    return _counted(task)


def _counted(task: Task) -> Task:
    return evolve(task, attempts=task.attempts + 1, error=INTERRUPTED)


@define(eq=False)
class Executor:
    """Runs the tasks of all flows of one process.

    Args:
        reactor: Twisted's reactor.
        now: seconds since the epoch, the clock of `Task.due_at`.
        random: spreads the tries.
        threads: run the functions that block.
        observer: hears of each try that has ended.
    """

    _reactor: Any
    _now: Callable[[], float]
    _random: random.Random = field(factory=random.Random)
    _threads: Threads = field(factory=partial(DaemonThreads, "task"))
    _observer: Observer = UNOBSERVED
    _places: dict[str, Places] = field(factory=dict, init=False)
    _suspects: Places = field(init=False)
    """The one place for tries whose last one ended with its process. They run one after the other,
    which shows which of them was the cause."""
    _waiting: dict[Customer, set[Any]] = field(factory=dict, init=False)
    _running: dict[Customer, set[Try]] = field(factory=dict, init=False)
    _unended: dict[str, Task] = field(factory=dict, init=False)
    """Tasks whose last try did not end with this process, though their rows may say so, by key."""

    def __attrs_post_init__(self) -> None:
        self._suspects = Places(self._reactor, 1)

    def submit(self, customer: Customer, task: Task, *, counted: bool = False) -> None:
        """Run `task` when it is due; the try that is to begin may be `counted` already."""
        # No task is due later than that, unless the clock was set back meanwhile.
        delay = min(LONGEST_DELAY, max(0.0, task.due_at - self._now()))
        waiting = self._waiting.setdefault(customer, set())

        def due() -> None:
            waiting.discard(call)
            self._begin(customer, task, counted=counted)

        call = self._reactor.callLater(delay, due)
        waiting.add(call)

    def forget(self, customer: Customer) -> Sequence[Task]:
        """Tell `customer` nothing any more, and cancel what runs for it.

        Returns:
            The tasks whose tries have certainly ended by that, or had not begun, as they were
            before these tries were counted.
        """
        for call in self._waiting.pop(customer, ()):
            call.cancel()
        ended = []
        for attempt in self._running.pop(customer, ()):
            if attempt.cancel():
                before = evolve(attempt.task, attempts=attempt.task.attempts - 1, error="")
                ended.append(before)
                self._unended[before.key] = before
        return ended

    def _begin(self, customer: Customer, task: Task, *, counted: bool) -> None:
        kind = kind_of(task.name)
        if kind is None:
            customer.task_failed(task, f"no task called {task.name!r} is known here")
            return
        try:
            arguments = json.loads(task.arguments)
        except (ValueError, RecursionError):
            customer.task_failed(task, "its arguments cannot be read")
            return
        before = self._unended.pop(task.key, None)
        if before is not None and not counted and before.attempts + 1 == task.attempts:
            task = before
        if task.attempts >= kind.tries and not counted:
            customer.task_failed(task, task.error or INTERRUPTED)
            return
        places = self._places.get(task.name)
        if places is None:
            places = self._places[task.name] = Places(self._reactor, kind.at_once)
        suspected = task.error == INTERRUPTED and not counted
        line = (self._suspects, places) if suspected else (places,)
        running = self._running.setdefault(customer, set())

        def over(result: Any) -> None:
            running.discard(attempt)
            if isinstance(result, Failure):
                self._failed(customer, attempt, result)
            else:
                self._observer.tried(task.name, "done", attempt.seconds)
                customer.task_done(attempt.task, result)

        call = Call(arguments, task.key, self._reactor)
        now_counted = task if counted else _counted(task)
        attempt = Try(customer, kind, call, now_counted, counted, self._threads, over)
        running.add(attempt)
        attempt.enter(line)

    def _failed(self, customer: Customer, attempt: Try, failure: Failure) -> None:
        kind, task = attempt.kind, attempt.task
        reason, final = reason_of(failure, kind.timeout)
        if attempt.is_running:
            reason += "; it still runs, and keeps its place"
            _log.warn(
                "task {task} has no result after {timeout:g} seconds, and keeps one of its {places}"
                " places until it comes back: {place}",
                task=task.name,
                timeout=kind.timeout,
                places=kind.at_once,
                place=attempt.place,
            )
        is_last = final or task.attempts >= kind.tries
        self._observer.tried(task.name, "failed" if is_last else "again", attempt.seconds)
        if is_last:
            customer.task_failed(task, reason)
            return
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (task.attempts - 1))
        delay *= self._random.uniform(0.5, 1.0)
        customer.task_deferred(task, reason, self._now() + delay)


def reason_of(failure: Failure, timeout: float) -> tuple[str, bool]:
    """Say why, without the words of an exception that may quote a secret."""
    error = failure.value
    if isinstance(error, TaskFailed):
        return str(error), error.final
    if isinstance(error, CancelledError | DeferredTimeout):
        return f"no result after {timeout:g} seconds", False
    return f"it raised {type(error).__name__}", False
