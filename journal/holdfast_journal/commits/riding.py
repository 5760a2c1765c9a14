"""`Riding`: commits that nobody waits for, until they ride with the next one of their flow.

A transaction costs much, whatever is in it. A commit that releases nothing, and whose event would
come again if it were lost, need not have one of its own: a process that dies before it is written
has merely not heard yet what it heard. So such a commit waits for the next of its flow that has
something to release; if there is none for a while, all that wait are written together.

The order of a flow's commits stays: what waits goes before whatever its flow submits next.
"""

from collections.abc import Callable
from typing import Any, Final

from attrs import define, field

from holdfast_journal.commits.boundaries import Reactor
from holdfast_journal.commits.values import Commit

LONGEST: Final = 0.1
"""Seconds for which a commit waits at most."""


@define(eq=False)
class Riding:
    """Holds them. For the reactor's thread."""

    _reactor: Reactor
    _due: Callable[[], object]
    """Called when those that wait are to be written."""
    _waiting: dict[int, list[Commit]] = field(factory=dict, init=False)
    """By flow."""
    _timer: Any = field(default=None, init=False)

    def takes(self, commit: Commit) -> bool:
        """Let `commit` wait, if it can."""
        can = (
            commit.comes_again
            and commit.state is not None
            and not (commit.calls or commit.tasks or commit.statements or commit.before)
        )
        if can:
            self._waiting.setdefault(commit.fence.id, []).append(commit)
            if self._timer is None:
                self._timer = self._reactor.callLater(LONGEST, self._is_due)
        return can

    def leave(self, flow: int) -> list[Commit]:
        """Return those of one flow, which wait no longer."""
        return self._waiting.pop(flow, [])

    def all_leave(self) -> list[Commit]:
        """Return all of them, which wait no longer."""
        left, self._waiting = self._waiting, {}
        return [commit for commits in left.values() for commit in commits]

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_due(self) -> None:
        self._timer = None
        if self._waiting:
            self._due()
