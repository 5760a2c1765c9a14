"""`Releasing`: once commits are durable, runs the calls that waited for them."""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from attrs import define, field
from twisted.logger import Logger

from holdfast_journal.commits.boundaries import Reactor
from holdfast_journal.commits.values import Commit
from holdfast_journal.interface import Call
from holdfast_journal.workers.registration import Registration

TURN = 0.001
"""Seconds of one reactor turn for calls, so that sockets are served in between, and the writer's
thread, which waits for its turn too."""

_log = Logger()


@define(eq=False)
class Releasing:
    """Runs the calls of durable commits, in order, for some time of each reactor turn."""

    _worker: Registration
    _reactor: Reactor
    _released: Callable[[Commit], object]
    """Called for each commit whose calls were all run."""
    _rested: Callable[[], object]
    """Called when a turn's share of them was."""
    _commits: deque[Commit] = field(factory=deque, init=False)
    _under_way: bool = field(default=False, init=False)
    """Whether `_go_on` will be called, by the reactor or when the lease holds again."""

    def add(self, commits: Sequence[Commit]) -> None:
        """These are durable."""
        self._commits += commits
        if not self._under_way:
            self._go_on()

    def clear(self) -> None:
        """Run nothing more."""
        self._commits.clear()

    def run(self, call: Call) -> None:
        """Run one."""
        try:
            call()
        except Exception:  # noqa: BLE001  it is logged
            # Its event is durable whatever the call did, and the calls of others are due.
            _log.failure("an outbound call failed")

    def _go_on(self) -> None:
        self._under_way = True
        worker = self._worker
        now = worker.term.uptime()
        until = now + TURN
        while self._commits and now < until:
            commit = self._commits[0]
            if commit.called < len(commit.calls):
                if not worker.holds(now):
                    # Other workers may have taken our flows: continue when it is known which.
                    worker.ask(partial(self._reactor.callFromThread, self._go_on))
                    return
                commit.called += 1
                if commit.fence.lost is None:
                    self.run(commit.calls[commit.called - 1])
                    now = worker.term.uptime()
            else:
                self._commits.popleft()
                commit.fence.pending -= 1
                self._released(commit)
        self._under_way = bool(self._commits)
        if self._under_way:
            self._reactor.callLater(0, self._go_on)
        self._rested()
