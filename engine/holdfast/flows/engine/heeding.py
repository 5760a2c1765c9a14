"""Heeding what operators ask, and finding out whether there is anything to be done at all.

Each look begins with one question to the database, in one thread. Usually the answer is that all is
still: nothing was committed since the last look, and no time has come at which a flow is due. Then
the look asks nothing else; see `SqlJournal.is_still`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, field
from twisted.internet.defer import inlineCallbacks

from holdfast.flows.engine.scope import Scope

if TYPE_CHECKING:
    from holdfast.flows.engine.runner import FlowRunner


@define(eq=False)
class Heeding:
    """Has the flows that run here do what is asked of them.

    Args:
        scope: the journal.
        running: the flows that run here.
        left_to_others: returns the flows that are not to be taken.
    """

    _scope: Scope
    _running: Mapping[int, FlowRunner]
    _left_to_others: Callable[[], Collection[int]]
    is_still: bool = field(default=False, init=False)
    """Whether the last look has found that there is nothing to be asked, or taken."""
    on_news: Callable[[], object] = field(default=lambda: None, init=False)
    """Called in each look which does not find that."""
    _answered: set[tuple[int, str]] = field(factory=set, init=False)

    def answered(self, flow_id: int, request: str) -> None:
        """What an operator asked is done; the next look says so in the database."""
        self._answered.add((flow_id, request))

    @inlineCallbacks
    def look(self) -> Any:
        """Do what operators asked for."""
        self.is_still = False
        answered, self._answered = self._answered, set()
        # If this fails, they are asked, and answered, again.
        requests = yield self._scope.asked(answered, self._left_to_others())
        self.is_still = requests is None
        if requests is None:
            return
        self.on_news()
        for flow_id, request in requests:
            runner = self._running.get(flow_id)
            if runner is not None:
                runner.heed(request)
