"""`Riding`: commits that nobody waits for, until they ride with the next one of their flow.

A transaction costs much, whatever is in it. A commit that releases nothing, and whose event would
come again if it were lost, need not have one of its own: a process that dies before it is written
has merely not heard yet what it heard. So such a commit waits for the next of its flow that has
something to release; if there is none for a while, all that wait are written together.

The commit that ends a flow has no next, and what it releases is known in this process only. It
waits, for a much shorter while, for a transaction of any other flow.

What waits becomes one with whatever its flow submits next, so that its checkpoint need not be made;
if nothing comes, that is done when it leaves. Until then the flow must be as that event has left
it: if the next one fails, what waits is withdrawn, and comes again like that one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from attrs import define, field

from holdfast_journal.commits.boundaries import Reactor
from holdfast_journal.commits.values import Commit

LONGEST: Final = 0.1
"""Seconds for which a commit waits at most."""

LAST: Final = 0.02
"""Seconds for which the last commit of a flow waits at most."""


@define(eq=False)
class Riding:
    """Holds them. For the reactor's thread."""

    _reactor: Reactor
    _due: Callable[[], object]
    """Called when those that wait are to be written."""
    _waiting: dict[int, Commit] = field(factory=dict, init=False)
    """By flow; the checkpoints are not made yet."""
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
        if state.finished_at is not None:
            commit.make()
            self._ending.append(commit)
            self._wait(LAST)
        elif commit.calls:
            return False
        else:
            self._waiting[commit.fence.id] = commit
            self._wait(LONGEST)
        return True

    def withdraw(self, flow: int) -> Commit | None:
        """Return the commit of a flow that waits for the flow's next, and waits no longer."""
        return self._waiting.pop(flow, None)

    def leave(self) -> list[Commit]:
        """Return those that wait for the next of any flow; they wait no longer."""
        ending, self._ending = self._ending, []
        return ending

    def all_leave(self) -> list[Commit]:
        """Return all of them, which wait no longer."""
        left, self._waiting = self._waiting, {}
        for commit in left.values():
            commit.make()
        return [*self.leave(), *left.values()]

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
