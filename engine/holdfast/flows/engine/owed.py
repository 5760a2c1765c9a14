"""What the database is to be told once it answers, in order."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, inlineCallbacks


@define(eq=False)
class Owed:
    """Calls that wait for the database, mostly about flows that no longer run here.

    Args:
        in_thread: calls one of them without blocking the reactor.
    """

    _in_thread: Callable[[Callable[[], object]], Deferred[Any]]
    _calls: deque[tuple[Callable[[], object], Collection[int]]] = field(factory=deque, init=False)
    _flows: Counter[int] = field(factory=Counter, init=False)

    def add(self, call: Callable[[], object], flows: Collection[int] = ()) -> None:
        """Have `call` called behind those before it; until then `flows` are not to be run again."""
        self._calls.append((call, flows))
        self._flows.update(flows)

    def concerns(self, flow: int) -> bool:
        """Whether something about this flow waits."""
        return flow in self._flows

    @inlineCallbacks
    def pay(self) -> Any:
        """Call them all; one that fails stays, and so do those behind it."""
        while self._calls:
            call, flows = self._calls[0]
            yield self._in_thread(call)
            self._calls.popleft()
            for flow in flows:
                self._flows[flow] -= 1
                if not self._flows[flow]:
                    del self._flows[flow]
