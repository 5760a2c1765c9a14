"""Work outside the wormhole: run after its commit, tried again, under a key that never changes.

A task runs at least once.  Whoever does the work can make it exactly once with the idempotency key,
which is the same at every try, also after a crash.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from holdfast_journal import Task

FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 60.0
"""Seconds between two tries of a task."""


class TaskFailed(Exception):
    """A task did not work out.  The text is shown to operators, so it holds no secret.

    Args:
        final: whether trying again is pointless.
    """

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


@frozen
class Call:
    """One try of a task.

    Args:
        arguments: as given to `Flow.perform`, JSON values.
        key: the idempotency key, 32 hexadecimal digits.
        reactor: Twisted's reactor.
    """

    arguments: dict[str, Any] = field(repr=False)
    key: str
    reactor: Any = field(repr=False)


@frozen
class _Kind:
    run: Callable[[Call], Any]
    tries: int
    at_once: int
    timeout: float
    blocks: bool


_kinds: dict[str, _Kind] = {}


def task(
    name: str,
    *,
    tries: int = 10,
    at_once: int = 4,
    timeout: float = 60.0,
    blocks: bool = False,
) -> Callable[[Callable[[Call], Any]], Callable[[Call], Any]]:
    """Register a function as the task called *name*.

    The function gets a `Call`, and returns a JSON value or a Deferred of one; it raises TaskFailed.

    Args:
        tries: how often it is tried before it fails for good.
        at_once: how many run at the same time in one process.
        timeout: seconds after which a Deferred is cancelled, which is a failed try.
        blocks: whether the function waits for something; then it runs in a thread, and returns its
            value itself.  A thread cannot be cancelled: one that is late goes on beside its next
            try, and what it returns is dropped.

    Raises:
        ValueError: another function has this name.
    """

    def register(run: Callable[[Call], Any]) -> Callable[[Call], Any]:
        if name in _kinds:
            raise ValueError(f"two tasks are called {name!r}")
        _kinds[name] = _Kind(run, tries, at_once, timeout, blocks)
        return run

    return register


class Customer(Protocol):
    """Who hears what became of a task."""

    def release(self, call: Callable[[], object]) -> None:
        """Call *call* as soon as it is certain that nobody else runs the flow; or never."""
        ...

    def task_done(self, task: Task, result: Any) -> None:
        """It worked."""
        ...

    def task_deferred(self, task: Task, reason: str, due_at: float) -> None:
        """It did not, and will be tried again."""
        ...

    def task_failed(self, task: Task, reason: str) -> None:
        """It will not be tried again."""
        ...


def is_known(name: str) -> bool:
    """Whether a function is registered in this process as the task called *name*."""
    return name in _kinds


def method_name(task_name: str) -> str:
    """Return the part of a flow's method names that stands for a task."""
    return task_name.replace("-", "_")


@define(eq=False)
class Executor:
    """Runs the tasks of all flows of one process.

    Args:
        reactor: Twisted's reactor.
        now: seconds since the epoch, the clock of `Task.due_at`.
        random: spreads the tries.
    """

    _reactor: Any
    _now: Callable[[], float]
    _random: random.Random = field(factory=random.Random)
    _places: dict[str, _Places] = field(factory=dict, init=False)
    _waiting: dict[Customer, set[Any]] = field(factory=dict, init=False)
    _running: dict[Customer, set[_Try]] = field(factory=dict, init=False)

    def submit(self, customer: Customer, task: Task) -> None:
        """Run *task* when it is due."""
        # No task is due later than that, unless the clock was set back meanwhile.
        delay = min(LONGEST_DELAY, max(0.0, task.due_at - self._now()))
        waiting = self._waiting.setdefault(customer, set())

        def due() -> None:
            waiting.discard(call)
            self._begin(customer, task)

        call = self._reactor.callLater(delay, due)
        waiting.add(call)

    def forget(self, customer: Customer) -> None:
        """Tell *customer* nothing any more, and cancel what runs for it."""
        for call in self._waiting.pop(customer, ()):
            call.cancel()
        for running in self._running.pop(customer, ()):
            running.cancel()

    def _begin(self, customer: Customer, task: Task) -> None:
        kind = _kinds.get(task.name)
        if kind is None:
            customer.task_failed(task, f"no task called {task.name!r} is known here")
            return
        try:
            arguments = json.loads(task.arguments)
        except (ValueError, RecursionError):
            customer.task_failed(task, "its arguments cannot be read")
            return
        places = self._places.get(task.name)
        if places is None:
            places = self._places[task.name] = _Places(self._reactor, kind.at_once)
        call = Call(arguments, task.key, self._reactor)
        running = self._running.setdefault(customer, set())

        def over(result: Any) -> None:
            running.discard(attempt)
            if isinstance(result, Failure):
                self._failed(customer, task, kind, result)
            else:
                customer.task_done(task, result)

        attempt = _Try(customer, kind, call, places, over)
        running.add(attempt)
        places.enter(attempt)

    def _failed(self, customer: Customer, task: Task, kind: _Kind, failure: Failure) -> None:
        reason, final = _reason(failure, kind.timeout)
        if final or task.attempts + 1 >= kind.tries:
            customer.task_failed(task, reason)
            return
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0**task.attempts)
        delay *= self._random.uniform(0.5, 1.0)
        customer.task_deferred(task, reason, self._now() + delay)


@define(eq=False)
class _Places:
    """As many tries of one kind of task as may run at the same time, and the line for that."""

    _reactor: Any
    _free: int
    _line: deque[_Try] = field(factory=deque, init=False)

    def enter(self, attempt: _Try) -> None:
        """Let it begin, now or when its turn comes."""
        if self._free:
            self._free -= 1
            attempt.begin()
        else:
            self._line.append(attempt)

    def leave(self) -> None:
        """A place is free: the next one's turn."""
        while self._line:
            attempt = self._line.popleft()
            if not attempt.over:
                # We are inside the end of another, and that perhaps inside the end of a third: a
                # thousand that are done at once must not end inside each other.
                attempt.has_place = True
                self._reactor.callLater(0, attempt.begin)
                return
        self._free += 1


@define(eq=False)
class _Try:
    """One try of a task, from when it is due until its result is told, or nobody wants it."""

    _customer: Customer
    _kind: _Kind
    _call: Call
    _places: _Places
    _tell: Callable[[Any], object]
    over: bool = field(default=False, init=False)
    has_place: bool = field(default=False, init=False)
    _result: Deferred[Any] | None = field(default=None, init=False)

    def begin(self) -> None:
        """Its turn has come."""
        if self.over:
            return
        self.has_place = True
        try:
            # It may have waited long for its time and its turn, and this process may have been
            # paused.
            self._customer.release(self._start)
        except Exception:  # noqa: BLE001 - it is the task's failure
            self._end(Failure())

    def cancel(self) -> None:
        """Nobody wants its result any more."""
        self.over = True
        if self._result is not None:
            self._result.cancel()
        else:
            self._leave()

    def _start(self) -> None:
        if self.over:
            return
        kind, call = self._kind, self._call
        if kind.blocks:
            pool = call.reactor.getThreadPool()
            result = deferToThreadPool(call.reactor, pool, kind.run, call)
        else:
            result = maybeDeferred(kind.run, call)
        self._result = result
        if not result.called or result.paused:  # most return at once
            result.addTimeout(kind.timeout, call.reactor)
        result.addBoth(self._end)

    def _end(self, result: Any) -> None:
        self._leave()
        if not self.over:
            self.over = True
            self._tell(result)

    def _leave(self) -> None:
        if self.has_place:
            self.has_place = False
            self._places.leave()


def _reason(failure: Failure, timeout: float) -> tuple[str, bool]:
    """Say why, without the words of an exception that may quote a secret."""
    error = failure.value
    if isinstance(error, TaskFailed):
        return str(error), error.final
    if isinstance(error, CancelledError | DeferredTimeout):
        return f"no result after {timeout:g} seconds", False
    return f"it raised {type(error).__name__}", False
