"""Time that passes when a test says so."""

from collections.abc import Callable
from typing import Any

from twisted.internet import task
from twisted.python.failure import Failure


class Clock(task.Clock):
    """Goes where Twisted's reactor goes: a clock turned by hand, whose threads are done at once.

    It has `seconds`, `callLater` and what threads need; no sockets, and no child processes. See
    `twisted.internet.task.Clock`, to which `advance(seconds)` belongs.
    """

    def getThreadPool(self) -> "Clock":  # noqa: N802
        """Return what runs functions that block: this clock."""
        return self

    def callInThreadWithCallback(  # noqa: N802
        self,
        done: Callable[[bool, Any], object],
        function: Callable[..., Any],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Call `function` now, and `done` with what came of it."""
        try:
            result = function(*args, **kwargs)
        except Exception:  # noqa: BLE001 - as a thread pool does: it is told to `done`
            done(False, Failure())
        else:
            done(True, result)

    def callFromThread(  # noqa: N802
        self, function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        """Call `function` now."""
        function(*args, **kwargs)
