"""What the database is to be told once it answers, in order."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, inlineCallbacks


@frozen
class _Call:
    call: Callable[[], Any]
    flows: Collection[int]
    then: Callable[[Any], object] | None


@define(eq=False)
class Owed:
    """Calls that wait for the database, mostly about flows that no longer run here.

    Args:
        in_thread: calls one of them without blocking the reactor.
    """

    _in_thread: Callable[[Callable[[], object]], Deferred[Any]]
    _calls: deque[_Call] = field(factory=deque, init=False)
    _flows: Counter[int] = field(factory=Counter, init=False)

    def add(
        self,
        call: Callable[[], Any],
        flows: Collection[int] = (),
        then: Callable[[Any], object] | None = None,
    ) -> None:
        """Have `call` called behind those before it; until then `flows` are not to be run again.

        `then` is called with what it returns, in the reactor's thread.
        """
        self._calls.append(_Call(call, flows, then))
        self._flows.update(flows)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._calls

    def concerns(self, flow: int) -> bool:
        """Whether something about this flow waits."""
        return flow in self._flows

    @inlineCallbacks
    def pay(self) -> Any:
        """Call them all; one that fails stays, and so do those behind it."""
        while self._calls:
            first = self._calls[0]
            outcome = yield self._in_thread(first.call)
            self._calls.popleft()
            for flow in first.flows:
                self._flows[flow] -= 1
                if not self._flows[flow]:
                    del self._flows[flow]
            if first.then is not None:
                first.then(outcome)
