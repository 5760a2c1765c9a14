"""Daemon threads: a call that hangs in one holds up neither other calls nor the end of the process.

The reactor's own pool has ten threads for everything, and the process waits for each of them when
it ends. A user's function that never returns would occupy one permanently, and a dozen of them
would stop the whole engine. So a call that may hang gets a daemon thread of its own, which ends
with the process.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any, Protocol, cast

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool


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


@frozen
class DaemonThreads:
    """A thread for each call."""

    name: str

    def callInThreadWithCallback(  # noqa: N802
        self,
        done: Callable[[bool, Any], object],
        function: Callable[..., Any],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """See `Threads`. If the system has no thread left, `done` is told so at once."""

        def work() -> None:
            try:
                result = function(*args, **kwargs)
            except BaseException:  # noqa: BLE001 - as Twisted's pool does: the caller's to handle
                done(False, Failure())
            else:
                done(True, result)

        try:
            Thread(target=work, name=self.name, daemon=True).start()
        except RuntimeError:
            done(False, Failure())


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
