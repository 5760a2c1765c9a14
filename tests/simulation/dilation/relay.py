"""A relay: it connects two sides that say the same token, and carries their bytes."""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.protocol import Factory
from twisted.internet.protocol import Protocol as TwistedProtocol

from holdfast.transit.network import network_of
from tests.simulation.process import Process

ADDRESS = "192.0.2.100"
PORT = 4001


@define(eq=False, repr=False)
class Relay(Process):
    """Its process."""

    waiting: list[Crossing] = field(factory=list, init=False)

    def begin(self) -> None:
        factory = Factory.forProtocol(Crossing)
        factory.noisy = False
        factory.relay = self  # type: ignore[attr-defined]
        network_of(self.reactor).listen(PORT, factory)


class Crossing(TwistedProtocol):
    """One of two connections."""

    transport: Any
    factory: Any

    def __init__(self) -> None:
        self.asked = b""
        self.other: Crossing | None = None

    def dataReceived(self, data: bytes) -> None:
        if self.other is not None:
            self.other.transport.write(data)
            return
        self.asked += data
        waiting: list[Crossing] = self.factory.relay.waiting
        if not self.asked.endswith(b"\n"):
            return
        token, _, side = self.asked.partition(b" for side ")
        for each in waiting:
            if each.asked.startswith(token) and not each.asked.endswith(side):
                waiting.remove(each)
                self.other, each.other = each, self
                for end in (self, each):
                    end.transport.write(b"ok\n")
                return
        waiting.append(self)

    def connectionLost(self, reason: Any = None) -> None:
        if self in self.factory.relay.waiting:
            self.factory.relay.waiting.remove(self)
        other, self.other = self.other, None
        if other is not None:
            other.other = None
            other.transport.loseConnection()
