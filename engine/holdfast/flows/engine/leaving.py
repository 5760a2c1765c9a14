"""Connections of flows that do not run here any more, on their way down."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredList

from holdfast.flows.engine.visits import Visits

if TYPE_CHECKING:
    from holdfast.flows.engine.runner import FlowRunner


@define(eq=False)
class Leaving:
    """Counts them, since each is a connection that no other flow can have yet.

    Args:
        seconds: a clock that never jumps.
        visits: learns how long visits take.
        on_free: called when one is down.
    """

    _seconds: Callable[[], float]
    _visits: Visits
    _on_free: Callable[[], object]
    _going_down: set[Deferred[None]] = field(factory=set, init=False)

    def __len__(self) -> int:
        return len(self._going_down)

    def add(self, runner: FlowRunner, visited: float | None = None) -> None:
        """Remember the connection of `runner`, after a visit of so many seconds."""
        down = runner.wormhole.when_down()
        self._going_down.add(down)
        began = None if visited is None else self._seconds() - visited
        down.addCallback(self._is_free, down, began)

    def all_down(self) -> Deferred[Any]:
        """Return a Deferred that fires when those of now are down."""
        return DeferredList(tuple(self._going_down))

    def _is_free(self, _: object, down: Deferred[None], began: float | None) -> None:
        self._going_down.discard(down)
        if began is not None:
            self._visits.took(self._seconds() - began)
        self._on_free()
