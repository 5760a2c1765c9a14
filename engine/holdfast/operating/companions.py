"""What goes on beside the flows of a service, such as metrics or a watchdog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from holdfast.flows.engine.observing import Observer
    from holdfast.operating.service import Service


class Companion(Protocol):
    """Begins and ends with the reactor of a `Service`. Its methods must not raise."""

    @property
    def observer(self) -> Observer:
        """What hears of what the flows do."""
        ...

    def start(self, service: Service) -> None:
        """The reactor runs, and `service` has its journal, its engine and its health."""
        ...

    def stop(self) -> Deferred[None] | None:
        """The flows have been given back; the process waits for the Deferred, and ends."""
        ...
