"""Running the tasks of all flows: how many at once, when again, and what became of each try.

A try is counted before it begins, so that one which ends its process counts as well.
`Task.attempts` is how many were begun, and `Task.error` why the last one failed; while it runs that
is INTERRUPTED, which is true as soon as nobody is there to say anything else.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from threading import get_ident
from typing import Any, Final, Protocol

from attrs import define, evolve, field
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import Logger
from twisted.python.failure import Failure

from holdfast.flows.engine.threads import DaemonThreads, Threads, call_in
from holdfast.flows.tasks import Call, Kind, TaskFailed, kind_of
from holdfast_journal import Task, place_in

FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 60.0
"""Seconds between two tries of a task."""

INTERRUPTED: Final = "the process ended during it"
"""Why a try failed of which nobody heard any more."""

COUNTED_WHEN_ASKED: Final = 3
"""Tries from which the first one is counted in the entry that asks for the task, which saves a
commit. It may be counted in vain, if the process ends while it waits for its place; who has fewer
tries cannot spare one for that."""

_log = Logger()


class Customer(Protocol):
    """Who hears what became of a task."""

    def release(self, call: Callable[[], object]) -> None:
        """Call `call` as soon as it is certain that nobody else runs the flow; or never."""
        ...

    def task_begins(self, task: Task, call: Callable[[], object]) -> None:
        """Call `call` as soon as it is durable that this try begins; or never."""
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
        threads: where the functions run that wait for something.
    """

    _reactor: Any
    _now: Callable[[], float]
    _random: random.Random = field(factory=random.Random)
    _threads: Threads = field(factory=partial(DaemonThreads, "task"))
    _places: dict[str, _Places] = field(factory=dict, init=False)
    _suspects: _Places = field(init=False)
    """The one place for tries whose last one ended with its process: which of those that ran then
    was the cause is seen when they run one after the other."""
    _waiting: dict[Customer, set[Any]] = field(factory=dict, init=False)
    _running: dict[Customer, set[_Try]] = field(factory=dict, init=False)
    _unended: dict[str, Task] = field(factory=dict, init=False)
    """Tasks whose last try did not end with this process, though their rows may say so, by key."""

    def __attrs_post_init__(self) -> None:
        self._suspects = _Places(self._reactor, 1)

    def submit(self, customer: Customer, task: Task, *, counted: bool = False) -> None:
        """Run `task` when it is due; the try that is to begin may be `counted` already."""
        # No task is due later than that, unless the clock was set back meanwhile.
        delay = min(LONGEST_DELAY, max(0.0, task.due_at - self._now()))
        waiting = self._waiting.setdefault(customer, set())

        def due() -> None:
            waiting.discard(call)
            self._begin(customer, task, counted)

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

    def _begin(self, customer: Customer, task: Task, counted: bool) -> None:
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
            places = self._places[task.name] = _Places(self._reactor, kind.at_once)
        suspected = task.error == INTERRUPTED and not counted
        line = (self._suspects, places) if suspected else (places,)
        running = self._running.setdefault(customer, set())

        def over(result: Any) -> None:
            running.discard(attempt)
            if isinstance(result, Failure):
                self._failed(customer, attempt, result)
            else:
                customer.task_done(attempt.task, result)

        call = Call(arguments, task.key, self._reactor)
        now_counted = task if counted else _counted(task)
        attempt = _Try(customer, kind, call, now_counted, counted, self._threads, over)
        running.add(attempt)
        attempt.enter(line)

    def _failed(self, customer: Customer, attempt: _Try, failure: Failure) -> None:
        kind, task = attempt.kind, attempt.task
        reason, final = _reason(failure, kind.timeout)
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
        if final or task.attempts >= kind.tries:
            customer.task_failed(task, reason)
            return
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (task.attempts - 1))
        delay *= self._random.uniform(0.5, 1.0)
        customer.task_deferred(task, reason, self._now() + delay)


@define(eq=False)
class _Places:
    """As many tries as may run at the same time, and the line for that."""

    _reactor: Any
    _free: int
    _line: deque[tuple[_Try, Callable[[], object]]] = field(factory=deque, init=False)

    def enter(self, attempt: _Try, then: Callable[[], object]) -> None:
        """Let it go on, now or when its turn comes."""
        if self._free:
            self._free -= 1
            attempt.held.append(self)
            then()
        else:
            self._line.append((attempt, then))

    def leave(self) -> None:
        """A place is free: the next one's turn."""
        while self._line:
            attempt, then = self._line.popleft()
            if not attempt.over:
                # We are inside the end of another, and that perhaps inside the end of a third: a
                # thousand that are done at once must not end inside each other.
                attempt.held.append(self)
                self._reactor.callLater(0, then)
                return
        self._free += 1


@define(eq=False)
class _Try:
    """One try of a task, from when it is due until its function has come back."""

    _customer: Customer
    kind: Kind
    _call: Call
    task: Task
    """With this try counted."""
    _counted: bool
    """Whether that is durable."""
    _threads: Threads
    _tell: Callable[[Any], object]
    over: bool = field(default=False, init=False)
    """Whether its result is told, or nobody wants it."""
    held: list[_Places] = field(factory=list, init=False)
    _work: Deferred[Any] | None = field(default=None, init=False)
    """What the function does, until it has done it."""
    _timer: Any = field(default=None, init=False)
    _thread: int | None = field(default=None, init=False)

    @property
    def is_running(self) -> bool:
        """Whether its function was called and has not come back."""
        return self._work is not None

    @property
    def place(self) -> str:
        """Where in the code it is, as far as that can be seen."""
        if self._thread is None:
            return "its Deferred has not fired"
        return place_in(self._thread)

    def enter(self, line: Sequence[_Places]) -> None:
        """Begin once it has a place in each of these."""
        if self.over:
            return
        if line:
            line[0].enter(self, partial(self.enter, line[1:]))
        else:
            self._begin()

    def cancel(self) -> bool:
        """Nobody wants its result any more. Return whether a try that is counted does not run."""
        self.over = True
        self._stop_timer()
        if self._work is None:
            self._leave()
        elif not self.kind.blocks:
            self._work.cancel()
        return self._counted and self._work is None

    def _begin(self) -> None:
        try:
            # It may have waited long for its time and its turn, and this process may have been
            # paused.
            if self._counted:
                self._customer.release(self._start)
            else:
                self._counted = True
                self._customer.task_begins(self.task, self._start)
        except Exception:  # noqa: BLE001 - it is the task's failure
            self._ended(Failure())

    def _start(self) -> None:
        if self.over:
            return
        if self.kind.blocks:
            work = call_in(self._threads, self._call.reactor, self._run_in_thread)
        else:
            work = maybeDeferred(self.kind.run, self._call)
        if not work.called or work.paused:  # most return at once
            self._timer = self._call.reactor.callLater(self.kind.timeout, self._late)
        self._work = work
        work.addBoth(self._ended)

    def _run_in_thread(self) -> Any:
        self._thread = get_ident()
        return self.kind.run(self._call)

    def _late(self) -> None:
        """Its time is over, and it keeps its place until its function comes back."""
        self._timer = None
        self.over = True
        if not self.kind.blocks and self._work is not None:
            self._work.cancel()
        # Others that are suspected need not wait for it: it did not end this process.
        for places in self.held[:-1]:
            places.leave()
        del self.held[:-1]
        self._tell(Failure(DeferredTimeout()))

    def _ended(self, result: Any) -> None:
        self._work = None
        self._stop_timer()
        self._leave()
        if not self.over:
            self.over = True
            self._tell(result)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _leave(self) -> None:
        held, self.held = self.held, []
        for places in held:
            places.leave()


def _reason(failure: Failure, timeout: float) -> tuple[str, bool]:
    """Say why, without the words of an exception that may quote a secret."""
    error = failure.value
    if isinstance(error, TaskFailed):
        return str(error), error.final
    if isinstance(error, CancelledError | DeferredTimeout):
        return f"no result after {timeout:g} seconds", False
    return f"it raised {type(error).__name__}", False
