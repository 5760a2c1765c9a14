"""How a modelled stock peer gets a connection, and what it does with the bytes on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.protocol import Factory
from twisted.internet.protocol import Protocol as TwistedProtocol

from holdfast.dilation.errors import ProtocolError
from holdfast.dilation.frames import Frames, frame
from holdfast.dilation.greeting import NoiseGreeting
from holdfast.dilation.noise import Cipher
from holdfast.dilation.records import Record, read, write
from holdfast.transit.handshake import Effects, Lost, Ready, Send, Won
from holdfast.transit.network import network_of

if TYPE_CHECKING:
    from tests.simulation.dilation.stock import Manager


RELAY_DELAY = 2.0
"""Seconds that a relay waits for a direct connection."""


class Connector(Factory):
    """One generation: it listens, dials each hint once, and takes the first that is good.

    It never tries anything again, has no timer, and closes only those of the losers that it has
    dialled itself.
    """

    noisy = False

    def __init__(self, manager: Manager, key: bytes) -> None:
        self.manager = manager
        self.over = False
        self._key = key
        self._port: Any = None
        self._dialled: list[Connection] = []

    def listen(self) -> None:
        self.network.listen(0, self).addCallback(self._listens)

    @property
    def network(self) -> Any:
        return network_of(self.manager.process.reactor)

    def dial(self, hints: list[dict[str, Any]]) -> None:
        """Connect to each of them, also again; to relays later if there is another way."""
        direct = [hint for hint in hints if hint["type"] == "direct-tcp-v1"]
        relays = [each for hint in hints if hint["type"] == "relay-v1" for each in hint["hints"]]
        self._connect(direct, None)
        late = RELAY_DELAY if direct else 0.0
        self.manager.process.reactor.callLater(late, self._connect, relays, self.manager.side)

    def _connect(self, hints: list[dict[str, Any]], relay_side: str | None) -> None:
        for hint in hints:
            if not self.over:
                factory = Dialling(self, relay_side)
                dialling = self.network.connect(hint["hostname"], hint["port"], factory)
                dialling.addCallbacks(self._dialled.append, lambda _: None)

    def stop(self) -> None:
        """Give everything up."""
        self.over = True
        if self._port is not None:
            self._port.stop()
        for connection in self._dialled:
            if not connection.selected and connection.transport is not None:
                connection.transport.loseConnection()

    def buildProtocol(self, addr: Any) -> Connection | None:
        return None if self.over else self.made(None)

    def made(self, relay_side: str | None) -> Connection:
        return Connection(self, self._key, relay_side)

    def candidate(self, connection: Connection) -> None:
        """It may be chosen; that is done in the next turn."""
        self.manager.process.reactor.callLater(0, self._select, connection)

    def _select(self, connection: Connection) -> None:
        if not self.over and connection.open:
            connection.select()
            self.stop()
            self.manager.made(connection)

    def _listens(self, port: Any) -> None:
        self._port = port
        if self.over:
            port.stop()
            return
        hints = [
            {"type": "direct-tcp-v1", "hostname": each, "port": port.port, "priority": 0.0}
            for each in self.network.addresses()
        ]
        self.manager.say({"type": "connection-hints", "hints": hints})


class Dialling(Factory):
    """Makes the protocol of a socket that leads out."""

    noisy = False

    def __init__(self, connector: Connector, relay_side: str | None) -> None:
        self._connector, self._relay_side = connector, relay_side

    def buildProtocol(self, addr: Any) -> Connection:
        return self._connector.made(self._relay_side)


class Connection(TwistedProtocol):
    """One socket."""

    transport: Any = None

    def __init__(self, connector: Connector, key: bytes, relay_side: str | None) -> None:
        self.manager = connector.manager
        self.selected = False
        self.open = True
        self._connector = connector
        ephemeral = self.manager.process.kernel.random.randbytes(32)
        self._greeting = NoiseGreeting(
            key, leader=self.manager.leads, ephemeral=ephemeral, relay_side=relay_side
        )
        self._frames: Frames | None = None
        self._sending: Cipher | None = None

    def connectionMade(self) -> None:
        self._carry_out(self._greeting.begin())

    def dataReceived(self, data: bytes) -> None:
        if self._frames is None:
            self._carry_out(self._greeting.hear(data))
            return
        try:
            for plaintext in self._frames.feed(data):
                self.manager.got(read(plaintext), self)
        except ProtocolError as error:
            self.manager.process.end.world.violate(f"a stock peer is told nonsense: {error}")

    def connectionLost(self, reason: Any = None) -> None:
        self.open = False
        self.manager.lost(self)

    def select(self) -> None:
        """This is the one: what has come behind the other's KCM is taken at once."""
        self.selected = True
        self._carry_out(self._greeting.choose())

    def let_go(self) -> None:
        """Close it politely, which waits until everything is sent, or the system gives up."""
        if not self.transport.backed_up:
            self.transport.loseConnection()

    def send(self, record: Record) -> None:
        if self.open and self._sending is not None:
            self.transport.write(frame(self._sending, write(record)))

    def _carry_out(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Send(data):
                    self.transport.write(data)
                case Ready():
                    self._connector.candidate(self)
                case Won(leftover):
                    self._sending, receiving = self._greeting.ciphers
                    self._frames = Frames(receiving)
                    if leftover:
                        self.dataReceived(leftover)
                case Lost():
                    self.transport.loseConnection()
