"""What every service shows of its process: its build, how late its reactor is, what it uses."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

from attrs import define, field
from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from twisted.internet.defer import Deferred

from holdfast.operating.health import Health
from holdfast.telemetry.counting import WRITES
from holdfast.telemetry.lateness import Lateness
from holdfast.telemetry.listening import Door
from holdfast.telemetry.pages import site
from holdfast.version import VERSION


@define(eq=False)
class ProcessTelemetry:
    """The address of one service, with its registry.

    Args:
        reactor: Twisted's.
        kind: `worker` or `mailbox`.
    """

    _reactor: Any
    _kind: str
    registry: CollectorRegistry = field(factory=CollectorRegistry, init=False)
    _lateness: Lateness = field(init=False)
    _door: Door | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        late = Histogram(
            "holdfast_reactor_lateness_seconds",
            "How late the reactor was with what it had to do, measured twice a second.",
            buckets=WRITES,
            registry=self.registry,
        )
        build = Gauge(
            "holdfast_build_info",
            "1, labelled with what runs here.",
            ["version", "python", "service"],
            registry=self.registry,
        )
        build.labels(VERSION, platform.python_version(), self._kind).set(1)
        ProcessCollector(registry=self.registry)
        self._lateness = Lateness(self._reactor, late.observe)

    def open(self, address: str, health: Health, look: Callable[[], Deferred[Any]]) -> str:
        """Bind the address that the operator gave, and answer there once the reactor runs.

        Args:
            address: see `Door.open`.
            health: whom the probes ask.
            look: returns a Deferred that fires when what is to be looked up before a scrape is
                there, or too late.

        Returns:
            Its URL, or the path of its socket.

        Raises:
            Refused: it is malformed, or cannot be bound.
        """

        def metrics() -> Deferred[str]:
            return look().addCallback(lambda _: generate_latest(self.registry).decode())

        answers = site(self._reactor, health, metrics, CONTENT_TYPE_PLAIN_0_0_4)
        self._door = Door.open(self._reactor, address, answers)
        return self._door.where

    def start(self) -> None:
        """The reactor runs."""
        self._lateness.start()

    def stop(self) -> Deferred[None] | None:
        """Answer no more."""
        self._lateness.stop()
        return None if self._door is None else self._door.close()
