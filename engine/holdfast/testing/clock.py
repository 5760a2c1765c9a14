"""Time that passes when a test says so."""

from collections.abc import Callable
from typing import Any

from twisted.internet import task
from twisted.python.failure import Failure


class Clock(task.Clock):
    """Takes the place of Twisted's reactor: you advance it, and its threads finish at once.

    It has `seconds`, `callLater` and what threads need, but neither sockets nor child processes.
    See `twisted.internet.task.Clock`, to which `advance(seconds)` belongs.
    """

    def getThreadPool(self) -> "Clock":  # noqa: N802
        """Return the thread pool, which is this clock."""
        return self

    def callInThreadWithCallback(  # noqa: N802
        self,
        done: Callable[[bool, Any], object],
        function: Callable[..., Any],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Call `function` now, and `done` with the outcome."""
        try:
            result = function(*args, **kwargs)
        except Exception:  # noqa: BLE001 - as in a thread pool, `done` gets it
            done(False, Failure())
        else:
            done(True, result)

    def callFromThread(  # noqa: N802
        self, function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        """Call `function` now."""
        function(*args, **kwargs)
