"""One try of a task: its place in line, its commit, its function, its end.

A try takes more steps than seem necessary, and each of them has a reason.

1. It is due (`Executor.submit`), and waits for a place (`Places`): a task says how many of its
   tries may run at the same time in one process. If the task's last try ended with its process,
   this one waits for two places, first for the one that all suspects share.
2. It has its places, perhaps long after it was due, and perhaps in a process that was paused
   meanwhile and whose flows other workers have taken. So it asks its customer once more
   (`Customer.release`, or `task_begins` if the try is not counted yet). The journal calls back when
   the lease is known to hold and, for `task_begins`, when it is durable that this try was begun.
   Otherwise it never calls, and so the work is not done twice.
3. Only then is the function called, in the reactor's thread or in one of its own.
4. The customer is told of its end and writes it down, and its places are free. A try that runs out
   of time is reported as failed at once, and keeps its place until its function has returned.

`DeferredSemaphore` would not do for `Places`: it starts the next try inside the end of the one
before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from threading import get_ident
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.python.failure import Failure

from holdfast.flows.engine.threads import Threads, call_in
from holdfast.flows.tasks import Call, Kind
from holdfast_journal import Task, place_in


class Customer(Protocol):
    """What is told the outcome of a task."""

    def release(self, call: Callable[[], object]) -> None:
        """Call `call` as soon as it is certain that no other worker runs the flow; or never."""
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


@define(eq=False)
class Places:
    """As many tries as may run at the same time, and the line for that."""

    _reactor: Any
    _free: int
    _line: deque[tuple[Try, Callable[[], object]]] = field(factory=deque, init=False)

    def enter(self, attempt: Try, then: Callable[[], object]) -> None:
        """Let it continue, now or when its turn comes."""
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
class Try:
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
    """Whether its result was told, or is not wanted any more."""
    held: list[Places] = field(factory=list, init=False)
    _work: Deferred[Any] | None = field(default=None, init=False)
    """What the function does, until it has done it."""
    _timer: Any = field(default=None, init=False)
    _thread: int | None = field(default=None, init=False)
    _began_at: float | None = field(default=None, init=False)

    @property
    def is_running(self) -> bool:
        """Whether its function was called and has not come back."""
        return self._work is not None

    @property
    def seconds(self) -> float:
        """How long ago its function was called; 0 if it was not."""
        if self._began_at is None:
            return 0.0
        return float(self._call.reactor.seconds()) - self._began_at

    @property
    def place(self) -> str:
        """Where in the code it is, as far as that can be seen."""
        if self._thread is None:
            return "its Deferred has not fired"
        return place_in(self._thread)

    def enter(self, line: Sequence[Places]) -> None:
        """Begin once it has a place in each of these."""
        if self.over:
            return
        if line:
            line[0].enter(self, partial(self.enter, line[1:]))
        else:
            self._begin()

    def cancel(self) -> bool:
        """Drop its result. Return whether the try is counted but does not run."""
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
        self._began_at = self._call.reactor.seconds()
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
