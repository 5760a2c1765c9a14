"""Work outside the wormhole: run after its commit, tried again, under a key that never changes.

A task runs at least once.  Whoever does the work can make it exactly once with the idempotency key,
which is the same at every try, also after a crash.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, Final, Protocol

from attrs import define, field, frozen
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, maybeDeferred
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
    _slots: dict[str, DeferredSemaphore] = field(factory=dict, init=False)
    _waiting: dict[Customer, set[Any]] = field(factory=dict, init=False)
    _running: dict[Customer, set[Deferred[None]]] = field(factory=dict, init=False)

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
        for running in tuple(self._running.pop(customer, ())):
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
        slot = self._slots.setdefault(task.name, DeferredSemaphore(kind.at_once))
        call = Call(arguments, task.key, self._reactor)
        done = slot.run(self._run, customer, kind, call, waits=not slot.tokens)
        running = self._running.setdefault(customer, set())
        running.add(done)

        def over(result: Any) -> None:
            running.discard(done)
            if self._running.get(customer) is not running:
                return  # forgotten meanwhile
            if isinstance(result, Failure):
                self._failed(customer, task, kind, result)
            else:
                customer.task_done(task, result)

        done.addBoth(over)

    def _run(self, customer: Customer, kind: _Kind, call: Call, *, waits: bool) -> Deferred[Any]:
        # It may have waited long for its time and its turn, and this process may have been paused.
        released: Deferred[Any] = Deferred()

        def go() -> None:
            if not released.called:  # cancelled, that is
                released.callback(None)

        def ask() -> None:
            if released.called:
                return
            try:
                customer.release(go)
            except Exception:  # noqa: BLE001 - it is the task's failure
                released.errback(Failure())

        if waits:
            # We are inside the end of the task that had the slot, and that perhaps inside the end
            # of another: a thousand that are done at once must not end inside each other.
            self._reactor.callLater(0, ask)
        else:
            ask()
        return released.addCallback(lambda _: self._start(kind, call))

    def _start(self, kind: _Kind, call: Call) -> Deferred[Any]:
        if kind.blocks:
            pool = self._reactor.getThreadPool()
            done = deferToThreadPool(self._reactor, pool, kind.run, call)
        else:
            done = maybeDeferred(kind.run, call)
        return done.addTimeout(kind.timeout, self._reactor)

    def _failed(self, customer: Customer, task: Task, kind: _Kind, failure: Failure) -> None:
        reason, final = _reason(failure, kind.timeout)
        if final or task.attempts + 1 >= kind.tries:
            customer.task_failed(task, reason)
            return
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0**task.attempts)
        delay *= self._random.uniform(0.5, 1.0)
        customer.task_deferred(task, reason, self._now() + delay)


def _reason(failure: Failure, timeout: float) -> tuple[str, bool]:
    """Say why, without the words of an exception that may quote a secret."""
    error = failure.value
    if isinstance(error, TaskFailed):
        return str(error), error.final
    if isinstance(error, CancelledError | DeferredTimeout):
        return f"no result after {timeout:g} seconds", False
    return f"it raised {type(error).__name__}", False
