"""The reactor of the test process: one, in one thread, for the whole session."""

import concurrent.futures
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.process import reapAllProcesses
from twisted.internet.task import deferLater
from twisted.logger import globalLogBeginner
from zope.interface import implementer

T = TypeVar("T")

_thread: threading.Thread | None = None
_errors: list[BaseException] = []


def run(function: Callable[[], Coroutine[Any, Any, T] | Deferred[T]], timeout: float = 30) -> T:
    """Run an async function on the reactor; return its result or raise its error.

    After `timeout` seconds it is cancelled, and TimeoutError is raised.
    """
    start()
    done: concurrent.futures.Future[T] = concurrent.futures.Future()

    def begin() -> None:
        result = maybeDeferred(function)
        result.addTimeout(timeout, reactor)
        result.addCallbacks(done.set_result, lambda failure: done.set_exception(failure.value))

    reactor.callFromThread(begin)
    try:
        # The reactor's own timeout comes first, unless something blocks the reactor.
        return done.result(timeout + 30)
    except concurrent.futures.TimeoutError:
        if done.done():
            raise
        raise TimeoutError("the reactor is blocked, or the function ignores cancelling") from None


async def until(question: Callable[[], T], what: str, timeout: float = 60) -> T:
    """Ask `question` until its answer is true, without blocking the reactor; return the answer.

    Raises AssertionError naming `what` after `timeout` seconds.
    """
    end = reactor.seconds() + timeout
    while not (answer := question()):
        if reactor.seconds() > end:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        await deferLater(reactor, 0.02)
    return answer


def call(function: Callable[..., T], *arguments: Any) -> T:
    """Call a plain function in the reactor's thread and return its result."""

    async def calling() -> T:
        return function(*arguments)

    return run(calling)


def start() -> None:
    """Start the reactor's thread, unless it runs."""
    global _thread
    if _thread is not None:
        return
    if threading.current_thread() is threading.main_thread():
        _notice_ends_of_children()
    running = threading.Event()
    reactor.callWhenRunning(running.set)
    _thread = threading.Thread(
        target=reactor.run, kwargs={"installSignalHandlers": False}, name="reactor", daemon=True
    )
    _thread.start()
    running.wait()


def stop() -> None:
    """Stop the reactor for good, at the end of the session."""
    if threading.current_thread() is threading.main_thread():
        signal.set_wakeup_fd(-1)
    if _thread is not None and _thread.is_alive():
        try:
            reactor.callFromThread(reactor.stop)
        except ReactorNotRunning:
            return
        _thread.join(10)


def flush_logged_errors(*types: type[BaseException]) -> list[BaseException]:
    """Return, and forget, the errors that Twisted's log was told of (of these types).

    What is left at the end of a test fails it: see `tests/conftest.py`.
    """
    wanted = types or (BaseException,)
    found = [error for error in _errors if isinstance(error, wanted)]
    _errors[:] = [error for error in _errors if not isinstance(error, wanted)]
    return found


@implementer(IReadDescriptor)
class _Ends:
    """Reads the bytes that Python writes for each signal, and reaps Twisted's children."""

    def __init__(self, read: int) -> None:
        self._read = read

    def fileno(self) -> int:
        return self._read

    def doRead(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 4096)
        reapAllProcesses()

    def logPrefix(self) -> str:  # noqa: N802
        return "ends of children"

    def connectionLost(self, reason: object) -> None:
        os.close(self._read)


def _notice_ends_of_children() -> None:
    # Without Twisted's own signal handlers, which want the reactor in the main thread, nobody
    # tells it that a child it spawned has ended. A handler in Python would not do: the kernel
    # gives SIGCHLD to the thread that forked, and a main thread that waits does not wake up.
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    reactor.addReader(_Ends(read))


def _observe(event: dict[str, Any]) -> None:
    failure = event.get("log_failure")
    if failure is not None:
        _errors.append(failure.value)


# When this is imported, because tests that need no running reactor log errors too.
globalLogBeginner.beginLoggingTo([_observe], redirectStandardIO=False, discardBuffer=True)
