"""What a running flow needs of the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from holdfast.flows.engine.executor import Executor
from holdfast.flows.engine.observing import Observer
from holdfast.shell.contact import MakesConnector
from holdfast.shell.options import Options
from holdfast.shell.patience import Clock

if TYPE_CHECKING:
    from holdfast.flows.engine.runner import FlowRunner
    from holdfast.transit.keeping import Keeper


class RunnerOwner(Protocol):
    """The engine, as far as its runners know it."""

    connector: MakesConnector
    executor: Executor
    observer: Observer
    options: Options
    """Of all wormholes; a runner adds what is its flow's."""
    keeper: Keeper | None
    """What holds connections beyond the death of this process."""

    @property
    def clock(self) -> Clock:
        """Twisted's reactor."""
        ...

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def over(self, runner: FlowRunner) -> None:
        """The flow's last entry is durable."""
        ...

    def reopens(self, runner: FlowRunner) -> None:
        """It is durable that a new wormhole takes the place of the flow's."""
        ...

    def broken(self, runner: FlowRunner, failure: Failure) -> None:
        """The flow's own code raised; its last checkpoint stands."""
        ...

    def answered(self, flow_id: int, request: str) -> None:
        """What was asked of a flow is done, and that is durable."""
        ...

    def detached(self) -> None:
        """It is durable that there is another detached task."""
        ...

    def look_up(self, call: Callable[[], Any]) -> Deferred[Any]:
        """Call `call`, which asks the database, without blocking the reactor."""
        ...
