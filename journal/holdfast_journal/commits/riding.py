"""`Riding`: commits that nobody waits for, until they ride with the next one of their flow.

A transaction costs much, whatever is in it. A commit that releases nothing, and whose event would
come again if it were lost, need not have one of its own: a process that dies before it is written
has merely not heard yet what it heard. So such a commit waits for the next of its flow that has
something to release; if there is none for a while, all that wait are written together.

The commit that ends a flow has no next, and what it releases is known in this process only. It
waits for a transaction of any other flow; if none runs here, for a much shorter while, since one
may be about to begin.

The order of a flow's commits stays: what waits goes before whatever its flow submits next.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from attrs import define, field

from holdfast_journal.commits.boundaries import Reactor
from holdfast_journal.commits.values import Commit

LONGEST: Final = 0.2
"""Seconds for which a commit waits at most."""

ALONE: Final = 0.02
"""Seconds for which the last commit of the only flow that runs here waits at most."""


@define(eq=False)
class Riding:
    """Holds them. For the reactor's thread."""

    _reactor: Reactor
    _due: Callable[[], object]
    """Called when those that wait are to be written."""
    _is_alone: Callable[[], bool]
    """Whether at most one flow runs in this process."""
    _waiting: dict[int, list[Commit]] = field(factory=dict, init=False)
    """By flow."""
    _ending: list[Commit] = field(factory=list, init=False)
    """Those of flows that are over."""
    _timers: dict[float, Any] = field(factory=dict, init=False)

    def takes(self, commit: Commit) -> bool:
        """Let `commit` wait, if it can."""
        state = commit.state
        if not commit.comes_again or state is None:
            return False
        if commit.tasks or commit.statements or commit.before:
            return False
        flow = commit.fence.id
        if state.finished_at is not None:
            self._ending += [*self._waiting.pop(flow, ()), commit]
            self._wait(ALONE if self._is_alone() else LONGEST)
        elif commit.calls:
            return False
        else:
            self._waiting.setdefault(flow, []).append(commit)
            self._wait(LONGEST)
        return True

    def leave(self, flow: int) -> list[Commit]:
        """Return those of one flow, and all that wait for any; they wait no longer."""
        ending, self._ending = self._ending, []
        return ending + self._waiting.pop(flow, [])

    def all_leave(self) -> list[Commit]:
        """Return all of them, which wait no longer."""
        left, self._waiting = self._waiting, {}
        ending, self._ending = self._ending, []
        return [*ending, *(commit for commits in left.values() for commit in commits)]

    def stop(self) -> None:
        """Look no more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _wait(self, seconds: float) -> None:
        if seconds not in self._timers:
            due = partial(self._is_due, seconds)
            self._timers[seconds] = self._reactor.callLater(seconds, due)

    def _is_due(self, seconds: float) -> None:
        del self._timers[seconds]
        if self._ending or (self._waiting and seconds == LONGEST):
            self._due()
