"""Daemon threads: a call that hangs in one holds up neither other calls nor the end of the process.

The reactor's own pool has ten threads for everything, and the process waits for each of them when
it ends. A user's function that never returns would occupy one permanently, and a dozen of them
would stop the whole engine. So a call that may hang gets a daemon thread that nobody else uses
meanwhile, and that ends with the process.

To start a thread costs more than a look into the database, and the reactor waits for it. So a
thread that has done its work is there for the next call for some seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, Protocol, TypeAlias, cast

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

_Call: TypeAlias = tuple[Callable[[bool, Any], object], Callable[[], Any]]


class Threads(Protocol):
    """What `twisted.internet.threads.deferToThreadPool` uses of a pool."""

    def callInThreadWithCallback(  # noqa: N802
        self,
        done: Callable[[bool, Any], object],
        function: Callable[..., Any],
        *args: Any,
        **kwargs: Any,
    ) -> object:
        """Call `function` in a thread, and then `done`, in that thread, with what came of it."""
        ...


IDLE_FOR: Final = 5.0
"""Seconds for which a thread waits for another call."""


@define(eq=False)
class DaemonThreads:
    """As many threads as there are calls at a time."""

    name: str
    _idle: list[SimpleQueue[_Call]] = field(factory=list, init=False, repr=False)
    """Where threads wait for their next calls. Whoever removes one gives it a call, or it ends."""

    def callInThreadWithCallback(  # noqa: N802
        self,
        done: Callable[[bool, Any], object],
        function: Callable[..., Any],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """See `Threads`. If the system has no thread left, `done` is told so at once."""
        call = done, partial(function, *args, **kwargs)
        try:
            self._idle.pop().put(call)
        except IndexError:
            self._start(call)

    def _start(self, call: _Call) -> None:
        calls = SimpleQueue[_Call]()
        calls.put(call)
        try:
            Thread(target=self._work, args=(calls,), name=self.name, daemon=True).start()
        except RuntimeError:
            done, _ = call
            done(False, Failure())

    def _work(self, calls: SimpleQueue[_Call]) -> None:
        while True:
            try:
                done, function = calls.get(timeout=IDLE_FOR)
            except Empty:
                try:
                    self._idle.remove(calls)
                except ValueError:
                    continue  # a call is on its way
                return
            outcome = _outcome(function)
            self._idle.append(calls)
            done(*outcome)
            del done, function, outcome  # nothing of it lives on while the thread waits


def _outcome(function: Callable[[], Any]) -> tuple[bool, Any]:
    try:
        return True, function()
    except BaseException:  # noqa: BLE001 - as Twisted's pool does: the caller's to handle
        return False, Failure()


def call_in(
    threads: Threads, reactor: Any, function: Callable[..., Any], *args: Any
) -> Deferred[Any]:
    """Call `function` in one of `threads`; the Deferred fires in the reactor's."""
    return deferToThreadPool(reactor, cast(ThreadPool, threads), function, *args)


def let_the_reactor_end(reactor: Any) -> None:
    """Keep the threads of the reactor's own pool from holding up the end of the process.

    A resolver that hangs is in one of them, and so is what a user's task defers to a thread.
    """
    pool = reactor.getThreadPool()
    pool.threadFactory = partial(Thread, daemon=True)
    reactor.removeSystemEventTrigger(reactor.threadpoolShutdownID)
