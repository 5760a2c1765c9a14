"""What a journal asks of its reactor and of its writer."""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from holdfast_journal.commits.values import Commit


class Reactor(Protocol):
    """The two methods of Twisted's reactor that the writer uses."""

    def callLater(self, delay: float, function: Callable[[], object], /) -> Any:  # noqa: N802
        """As IReactorTime has it: what is returned can be cancelled."""
        ...

    def callFromThread(self, function: Callable[[], object], /) -> None:  # noqa: N802
        """As IReactorFromThreads has it."""
        ...


class Writer(Protocol):
    """Takes commits, makes them durable, and then runs their calls."""

    def submit(self, commit: Commit) -> None:
        """Take `commit`. Raises JournalStopped."""
        ...

    def stop(self, patience: float | None = None) -> "Deferred[None]":
        """Finish what was submitted, then take no more."""
        ...
