"""`WorkerTelemetry`: the metrics and the health of a process that runs flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed

from holdfast.telemetry.counting import FlowCounts
from holdfast.telemetry.gauges import Found, Gauges
from holdfast.telemetry.looked_up import LookedUp
from holdfast.telemetry.process import ProcessTelemetry

if TYPE_CHECKING:
    from holdfast.operating.service import Service


@define(eq=False)
class WorkerTelemetry:
    """A companion of a `Service`, and the observer of its engine.

    Args:
        reactor: Twisted's.
        address: where it is asked; see `Door.open`.

    Raises:
        Refused: the address is malformed, or cannot be bound.
    """

    _reactor: Any
    _address: str
    where: str = field(init=False)
    """Its URL, or the path of its socket."""
    observer: FlowCounts = field(init=False)
    """What the engine is to tell."""
    _process: ProcessTelemetry = field(init=False)
    _service: Service | None = field(default=None, init=False)
    _found: LookedUp[Found] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._process = ProcessTelemetry(self._reactor, "worker")
        self.observer = FlowCounts(self._process.registry)
        # Bound before anything begins, and answered from `start` on.
        self.where = self._process.open(self._address, self, self._look)

    def start(self, service: Service) -> None:
        """The reactor runs; see `holdfast.operating.companions.Companion`."""
        self._service = service
        found = self._found = LookedUp[Found](
            self._reactor, lambda: Found.look(service.journal, found.last)
        )
        self._process.registry.register(Gauges(service, self._found))
        self.observer.expect(service.work.serve)
        service.journal.observe_writes(self.observer.wrote)
        self._process.start()

    def stop(self) -> Deferred[None] | None:
        """Answer no more."""
        return self._process.stop()

    # The health (`holdfast.operating.health.Health`), which is the service's as soon as it is one.

    def unwell(self) -> str | None:
        """Why the process makes no progress."""
        return None if self._service is None else self._service.health.unwell()

    def unready(self) -> str | None:
        """Why it cannot do its work now."""
        return "starting" if self._service is None else self._service.health.unready()

    def _look(self) -> Deferred[None]:
        return succeed(None) if self._found is None else self._found.look()
