"""Clients of people who send and receive files as the stock client does.

They are written with the public `TransitSender` and `TransitReceiver`, and speak the messages of
file-transfer-protocol.md. None of them goes on after a break.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Coroutine
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred

from holdfast.errors import WormholeError
from holdfast.transfer import messages
from holdfast.transit.connection import Connection
from holdfast.transit.errors import TransitError
from holdfast.transit.transit import Transit
from tests.simulation.disk import SIZE, content
from tests.simulation.peers import CLIENTS, Client

RECORD = 100_000
"""Bytes of content in each record of a sender."""


@define(eq=False, repr=False)
class Stock(Client):
    """What both have in common."""

    transit: Transit | None = field(default=None, init=False)
    role = "receiver"
    busy: bool = field(default=False, init=False)

    def wormhole_got_versions(self, versions: dict[str, object]) -> None:
        self.transit = self.wormhole.create_transit(self.role)
        self._go(self._reachable(self.transit))

    def wormhole_got_message(self, message: bytes) -> None:
        for said in messages.read(message):
            if isinstance(said, messages.Transit):
                assert self.transit is not None
                self.world.transfers.told_where(self.person, said.hints)
                self.transit.add_connection_hints(said.hints)  # type: ignore[arg-type]
            elif isinstance(said, messages.PeerSaysNo):
                self._ends(f"hears: {said.error}")
            elif not self.busy:
                self._hears(said)

    def _hears(self, said: messages.Said) -> None:
        raise NotImplementedError

    async def _reachable(self, transit: Transit) -> None:
        hints = await transit.get_connection_hints()
        self.wormhole.send_message(messages.transit(transit.get_connection_abilities(), hints))

    def _go(self, work: Coroutine[Any, Any, None]) -> None:
        Deferred.fromCoroutine(work).addErrback(self._fails)

    def _fails(self, failure: Any) -> None:
        failure.trap(TransitError, WormholeError)
        self._ends(f"fails: {failure.getErrorMessage()}")

    def _ends(self, why: str) -> None:
        self.world.say(self.name, why)
        if self.transit is not None:
            self.transit.close()
        self.wormhole.close()


@define(eq=False, repr=False)
class StockReceiver(Stock):
    """Accepts whatever is offered."""

    def _hears(self, said: messages.Said) -> None:
        if isinstance(said, messages.Offer):
            self.busy = True
            self.wormhole.send_message(messages.accept_offer())
            self._go(self._receive(said.size))

    async def _receive(self, size: int) -> None:
        assert self.transit is not None
        connection: Connection = await self.transit.connect()
        self.world.say(self.name, f"is connected, {connection.describe()}")
        got = bytearray()
        while len(got) < size:
            got += await connection.receive_record()
        right = bytes(got) == content(self.person.flow)
        self.person.got.append("the file" if right else f"{len(got)} other bytes")
        digest = hashlib.sha256(got).hexdigest()
        connection.send_record(json.dumps({"ack": "ok", "sha256": digest}).encode())
        connection.close()
        self._ends("has everything")


@define(eq=False, repr=False)
class StockSender(Stock):
    """Offers its file at once."""

    role = "sender"

    async def _reachable(self, transit: Transit) -> None:
        await Stock._reachable(self, transit)
        offered = messages.Offer("file", "a file", SIZE, 1, SIZE)
        self.wormhole.send_message(messages.offer(offered))

    def _hears(self, said: messages.Said) -> None:
        if isinstance(said, messages.OfferAccepted):
            self.busy = True
            self._go(self._send())

    async def _send(self) -> None:
        assert self.transit is not None
        connection: Connection = await self.transit.connect()
        self.world.say(self.name, f"is connected, {connection.describe()}")
        data = content(self.person.flow)
        for at in range(0, len(data), RECORD):
            connection.send_record(data[at : at + RECORD])
        acknowledged = json.loads(await connection.receive_record())
        self.world.transfers.acknowledged(self.person)
        right = acknowledged == {"ack": "ok", "sha256": hashlib.sha256(data).hexdigest()}
        self.person.got.append("acknowledged" if right else "something else")
        connection.close()
        self._ends("was acknowledged")


CLIENTS["takes"] = StockReceiver
CLIENTS["gives"] = StockSender
