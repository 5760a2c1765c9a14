"""One client's connection to the transit relay, within bounds.

What to answer and whom to put together is decided by the package's state machine, of which this is
one more kind of client (its `ITransitClient`). The package itself has no timers and no limits.
Imported only where the package is installed; private names of its classes are not used.

Sources: transit.md, "Transit Relay".
"""

import re
import socket
from typing import Any

from attrs import frozen
from twisted.internet.interfaces import ITCPTransport
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from wormhole_transit_relay.server_state import TransitServerState

HANDSHAKE = 60.0
"""Seconds that a client has for its first line."""

_REQUEST = re.compile(rb"please relay (\w{64})(?: for side (\w{16}))?")

# A host that is dead or asleep is noticed after about four minutes, instead of the system's two
# hours. Not every system has every one of these.
_KEEPALIVE = {"TCP_KEEPIDLE": 120, "TCP_KEEPINTVL": 30, "TCP_KEEPCNT": 4}


@frozen
class Bounds:
    """What clients may use; times are in seconds."""

    connections: int | None  # at a time; None for any number
    pair_bytes: int  # both directions together; 0 for any number
    wait: float  # until a partner comes
    idle: float  # of silence of both sides of a pair


class _State(TransitServerState):  # type: ignore[misc]
    """The package's state machine, which knows whose it is."""

    def __init__(self, transit: Any, client: "RelayClient") -> None:
        super().__init__(transit.pending_requests, transit.usage)
        self.client = client


class RelayClient(LineReceiver):
    """A client: it asks, waits for its partner, and is one of a pair from then on."""

    delimiter = b"\n"
    MAX_LENGTH = 1024
    started_time = 0.0  # the package's usage records want it, and we keep none
    factory: Any
    transport: Any

    def __init__(self, transit: Any, bounds: Bounds, clock: Any) -> None:
        self._clock = clock
        self._bounds = bounds
        self._state = _State(transit, self)
        self._partner: RelayClient | None = None
        self._timer: Any = None  # an IDelayedCall that ends the connection
        self._has_ended = False
        self.passed_on = 0  # bytes to the partner

    def connectionMade(self) -> None:
        """Wait for the line that says whom the client looks for."""
        _look_after(self.transport)
        self._allow(HANDSHAKE)
        self._state.connection_made(self)

    def lineReceived(self, line: bytes) -> None:
        """Hear what the client asks for."""
        request = _REQUEST.fullmatch(line)
        if request is None:
            self._state.bad_token()
            return
        # Its partner may be there already: then the machine sets another time.
        self._allow(self._bounds.wait)
        token, side = request.groups()
        if side is None:
            self._state.please_relay(token)
        else:
            self._state.please_relay_for_side(token, side)
        self.setRawMode()  # type: ignore[no-untyped-call]

    def rawDataReceived(self, data: bytes) -> None:
        """Pass on what is for the partner; whoever speaks before `ok` is told to wait."""
        if self.transport.disconnecting:
            return  # TLS may hand over what came before the end
        if self._partner is not None:
            self.passed_on += len(data)
            total = self.passed_on + self._partner.passed_on
            if 0 < self._bounds.pair_bytes < total:
                self.cut()
                return
            self.is_busy()
            self._partner.is_busy()
        self._state.got_bytes(data)

    def connectionLost(self, reason: Failure | None = None) -> None:  # noqa: ARG002
        """Let go of the partner too: a relayed connection has no half."""
        self._has_ended = True
        self._allow(None)
        self._state.connection_lost()
        self.factory.is_gone(self)

    def is_busy(self) -> None:
        """Something was sent in one direction: the pair's time begins again."""
        if self._timer is not None:
            self._timer.reset(self._bounds.idle)

    def cut(self) -> None:
        """End it at once, whatever is still to be written; its partner goes with it."""
        if self._partner is not None:
            self._partner.transport.abortConnection()
        self.transport.abortConnection()

    def send(self, data: bytes) -> None:
        """Say `data` to the client (the package's interface)."""
        self.transport.write(data)

    def connect_partner(self, other: _State) -> None:
        """Be one of a pair (the package's interface).

        The partner's full buffer stops the reading here: a slow receiver stops its sender.
        """
        self._partner = other.client
        self._partner.transport.registerProducer(self.transport, True)  # noqa: FBT003
        self._allow(self._bounds.idle)

    def disconnect_partner(self) -> None:
        """Close the partner's connection (the package's interface)."""
        if self._partner is not None:
            self._partner.disconnect()

    def disconnect(self) -> None:
        """Close it once everything is written (the package's interface)."""
        if self._has_ended:
            return  # both of a pair close each other
        # While there is a producer that was paused, Twisted would wait for more.
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        self._allow(self._bounds.idle)

    def _allow(self, seconds: float | None) -> None:
        """End the connection when so much time has passed; None takes that back."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self._clock.callLater(seconds, self._is_over)

    def _is_over(self) -> None:
        self._timer = None
        self.cut()


def _look_after(transport: Any) -> None:
    if not ITCPTransport.providedBy(transport):
        return  # a Unix socket
    transport.setTcpNoDelay(True)  # handshakes are small, and each waits for one
    transport.setTcpKeepAlive(True)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            transport.getHandle().setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
