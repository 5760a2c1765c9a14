"""Following the flows of a service: who watches them is told what has moved, soon after it has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred, inlineCallbacks

from holdfast.flows.engine.looking import Looking
from holdfast.flows.engine.threads import DaemonThreads, call_in

if TYPE_CHECKING:
    from holdfast_journal import FlowRow, Seen, SqlJournal

RARELY: Final = 10.0
"""Seconds between two calls of `watch` while nothing moves, for one that shows no passing time."""


@define(eq=False)
class Following:
    """Asks the journal what has moved, if anything was committed.

    Args:
        reactor: Twisted's.
        journal: what is followed.
        watch: called with the flows that moved since the last call, at first with those that moved
            since what was `seen`, or without that with those of the `names`, or the unfinished
            ones; returns whether that is all.
        batch: follow only the flows of this batch.
        names: begin with the flows that have these names.
        seen: how far the journal was read before.
        every: seconds after which `watch` is called again if nothing moves.
        end: called when `watch` has returned True.
        leave: called when an operator wants this worker to end.
    """

    _reactor: Any
    _journal: SqlJournal
    _watch: Callable[[Sequence[FlowRow]], bool]
    _batch: str | None
    _names: Collection[str] | None
    _seen: Seen | None
    _every: float
    _end: Callable[[], object]
    _leave: Callable[[], object]
    _threads: DaemonThreads = field(factory=lambda: DaemonThreads("status"), init=False)
    _looking: Looking = field(init=False)
    _has_news: bool = field(default=True, init=False)
    """Whether something may have been committed since the journal was asked."""

    def __attrs_post_init__(self) -> None:
        self._looking = Looking(self._reactor, self._journal.pressure, "status", self._look)

    def start(self) -> Deferred[None]:
        """Begin. Returns a Deferred that fires after `stop`, or fails when asking does."""
        return self._looking.start()

    def stop(self) -> None:
        """Ask no more."""
        self._looking.stop()

    def hurry(self) -> None:
        """Something was committed."""
        self._has_news = True
        self._looking.hurry()

    @inlineCallbacks
    def _look(self) -> Any:
        moved: Sequence[FlowRow] = ()
        leaves = False
        if self._has_news:
            self._has_news = False
            try:
                changes, leaves = yield call_in(self._threads, self._reactor, self._ask)
            except BaseException:
                self._has_news = True
                raise
            moved, self._seen = changes.rows, changes.seen
        if self._watch(moved):
            self._end()
        elif leaves:
            self._leave()
        return self._every

    def _ask(self) -> tuple[Any, bool]:
        changes = self._journal.poll(self._batch, self._seen, names=self._names)
        return changes, self._journal.asked_to_leave()
