"""Threads that the kernel drives: each runs in a greenlet, and where a thread would wait, it does.

`Threading` takes the place of the module `threading` where the journal uses it, and `Reactor` that
of Twisted's. Between two threads of a process nothing happens at the same time, but in any order
that the seed likes, and as long as it likes passes from one to the other.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from attrs import define, field, fields
from greenlet import GreenletExit, getcurrent, greenlet
from twisted.python.failure import Failure

from tests.simulation.kernel import Actor, Died, Event, Kernel

SOON = 0.004
"""Seconds that a thread takes at most to notice that it is its turn."""


class Deadlock(AssertionError):
    """A thread waits for what never comes."""


@define(eq=False, repr=False)
class Thread:
    """A thread of an actor."""

    target: Callable[[], object]
    name: str = ""
    daemon: bool = True
    actor: "Process" = field(init=False)
    _greenlet: Any = field(default=None, init=False)
    _wake: Event | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.actor = running_process()
        self.actor.threads.append(self)

    def start(self) -> None:
        self.wake_in(self.actor.kernel.between(0, SOON))

    def is_alive(self) -> bool:
        return self._greenlet is None or not self._greenlet.dead

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end: the whole process does nothing else meanwhile."""
        for _ in range(1000):
            if not self.is_alive():
                return
            self.run()
        raise Deadlock(f"thread {self.name} never ends")

    def wake_in(self, delay: float) -> None:
        """Let it go on then, and not earlier."""
        if self._wake is not None:
            self._wake.cancel()
        self._wake = self.actor.kernel.after(delay, self.run, self.actor)

    def run(self) -> None:
        """Let it go on now, until it waits again."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        if self._greenlet is None:
            self._greenlet = greenlet(self._work)
            self._greenlet.sim_thread = self
        self._greenlet.parent = getcurrent()
        self._greenlet.switch()
        if not self.is_alive() and self in self.actor.threads:
            self.actor.threads.remove(self)

    def end(self) -> None:
        """Its process is dead."""
        if self._greenlet is not None and self.is_alive():
            self._greenlet.parent = getcurrent()
            self._greenlet.throw(GreenletExit)

    def _work(self) -> None:
        try:
            self.target()
        except Died:
            self.actor.doomed = True

    def sleep(self, delay: float | None) -> None:
        """Wait so long, or until somebody wakes us: called by the thread itself."""
        if delay is not None:
            self.wake_in(delay)
        self._greenlet.parent.switch()
        if not self.actor.alive or self.actor.doomed:
            raise Died


def this_thread() -> Thread | None:
    """The thread that is running, None in a reactor's."""
    return getattr(getcurrent(), "sim_thread", None)


def sleep(delay: float) -> None:
    """Let time pass, if this is a thread; a reactor does not wait."""
    thread = this_thread()
    if thread is not None:
        thread.sleep(delay)


@define(eq=False, repr=False)
class Waiting:
    """Threads that wait for the same thing."""

    _threads: list[Thread] = field(factory=list)

    def wait(self, timeout: float | None = None) -> None:
        thread = this_thread()
        if thread is None:
            raise Deadlock("the reactor's thread waits")
        self._threads.append(thread)
        thread.sleep(timeout)
        if thread in self._threads:
            self._threads.remove(thread)

    def wake(self) -> None:
        threads, self._threads = self._threads, []
        for thread in threads:
            thread.wake_in(thread.actor.kernel.between(0, SOON))


@define(eq=False, repr=False)
class SimEvent:
    """As threading.Event."""

    _set: bool = False
    _waiting: Waiting = field(factory=Waiting)

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        self._waiting.wake()

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        if not self._set:
            self._waiting.wait(timeout)
        return self._set


@define(eq=False, repr=False)
class Lock:
    """As threading.RLock, and as threading.Lock where nobody takes it twice."""

    _owner: Thread | None = None
    _depth: int = 0
    _waiting: Waiting = field(factory=Waiting)

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        thread = this_thread()
        tries = 0
        while self._depth and self._owner is not thread:
            tries += 1
            if tries > 1000:
                raise Deadlock("a lock is never free")
            if thread is None:
                assert self._owner is not None
                self._owner.run()  # the reactor waits; the owner goes on
            else:
                self._waiting.wait(None)
        self._owner = thread
        self._depth += 1
        return True

    def release(self) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None
            self._waiting.wake()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


@define(eq=False, repr=False)
class Condition:
    """As threading.Condition; its lock is that only one thing happens at a time."""

    _waiting: Waiting = field(factory=Waiting)

    def __enter__(self) -> bool:
        return True

    def __exit__(self, *_: object) -> None:
        pass

    def wait(self, timeout: float | None = None) -> None:
        self._waiting.wait(timeout)

    def notify(self, n: int = 1) -> None:
        self._waiting.wake()

    notify_all = notify


class Threading:
    """What the journal uses of the module `threading`."""

    Thread = Thread
    Event = SimEvent
    Condition = Condition
    Lock = Lock
    RLock = Lock

    @staticmethod
    def current_thread() -> object:
        return this_thread()


_REAL = {
    type(threading.Lock()): Lock,
    type(threading.RLock()): Lock,
    threading.Event: SimEvent,
    threading.Condition: Condition,
}


def drive(*things: Any) -> None:
    """Put what the kernel drives in the place of every lock and event that `things` hold."""
    for thing in things:
        for each in fields(type(thing)):
            value = getattr(thing, each.name, None)
            if type(value) in _REAL:
                setattr(thing, each.name, _REAL[type(value)]())


@define(eq=False, repr=False)
class Process(Actor):
    """An actor with threads and a reactor."""

    is_ours: ClassVar[bool] = False
    """Whether it runs what a mutant breaks."""

    threads: list[Thread] = field(factory=list, init=False)
    reactor: "Reactor" = field(init=False)
    stuck: bool = field(default=False, init=False)
    """Whether its reactor stands still, while its threads go on."""

    def __attrs_post_init__(self) -> None:
        self.reactor = Reactor(self)

    def holds_up(self, event: Event) -> bool:
        of_a_thread = isinstance(getattr(event.call, "__self__", None), Thread)
        return self.paused or (self.stuck and not of_a_thread)

    def entered(self) -> None:
        _running.append(self)
        del _running[:-1]

    def buried(self) -> None:
        while self.threads:
            self.threads.pop().end()


_running: list[Process] = []


def running_process() -> Process:
    """Whose step it is."""
    return _running[-1]


@define(eq=False, repr=False)
class Reactor:
    """Twisted's reactor, as a process of the simulation has it, and its pool of threads."""

    process: Process
    _from_thread: float = field(default=0.0, init=False)

    @property
    def kernel(self) -> Kernel:
        return self.process.kernel

    def seconds(self) -> float:
        return self.kernel.now

    def callLater(  # noqa: N802
        self, delay: float, function: Callable[..., object], *args: Any, **kwargs: Any
    ) -> Event:
        call = partial(function, *args, **kwargs) if args or kwargs else function
        return self.kernel.after(delay, call, self.process)

    def callFromThread(self, function: Callable[..., object], *args: Any, **kwargs: Any) -> None:  # noqa: N802
        soon = self.kernel.now + self.kernel.between(0, SOON)
        self._from_thread = max(self._from_thread, soon)
        self.kernel.at(self._from_thread, partial(function, *args, **kwargs), self.process)

    def getThreadPool(self) -> "Reactor":  # noqa: N802
        return self

    def callInThreadWithCallback(  # noqa: N802
        self,
        done: Callable[[bool, Any], object],
        function: Callable[..., Any],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        def work() -> None:
            try:
                result = function(*args, **kwargs)
            except Exception:  # noqa: BLE001 - as a thread pool does
                done(False, Failure())
            else:
                done(True, result)

        Thread(work, name="pool").start()
