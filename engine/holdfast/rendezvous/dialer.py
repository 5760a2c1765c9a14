"""Connections to mailbox servers, first come first served, a limited number at a time.

After a server's restart, all waiting wormholes reconnect at the same time. A handshake costs work
at both ends, so they take turns.
"""

from collections import deque
from typing import Any, Final

from attrs import Factory, define, field
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure
from websockets.uri import WebSocketURI

from holdfast.rendezvous import reasons
from holdfast.rendezvous.boundaries import Clock, Endpoint, Endpoints, Listener, Timer
from holdfast.rendezvous.heartbeat import Heartbeat
from holdfast.rendezvous.intake import Intake
from holdfast.rendezvous.relay_url import BadRelayUrl, parse_relay_url
from holdfast.rendezvous.tls import Contexts
from holdfast.rendezvous.websocket import WebSocket

UNDER_WAY: Final = 64
"""How many handshakes are under way at a time, by default."""

HANDSHAKE_TIME: Final = 30.0
"""Seconds for everything from the lookup of the name to the server's answer."""

__all__ = ["BadRelayUrl", "Dialer", "NamedServers"]


@define(eq=False)
class NamedServers:
    """Where a URL's server is: TCP by name (IPv4 and IPv6), with TLS for `wss:`.

    Certificates are verified against `trust_root`, or against what the platform trusts.
    """

    _reactor: Any = field(repr=False)
    _trust_root: Any = field(default=None, repr=False)
    _tls: Contexts = field(
        default=Factory(lambda self: Contexts(self._trust_root), takes_self=True),
        init=False,
        repr=False,
    )

    def __call__(self, uri: WebSocketURI) -> Endpoint:
        """The endpoint of the server that `uri` names."""
        kind: Any = HostnameEndpoint
        if isIPAddress(uri.host):  # a lookup takes a thread, and as much time as the rest
            kind = TCP4ClientEndpoint
        elif isIPv6Address(uri.host):
            kind = TCP6ClientEndpoint
        endpoint = kind(self._reactor, uri.host, uri.port, timeout=HANDSHAKE_TIME)
        if uri.secure:
            endpoint = self._tls.over(endpoint, uri.host)
        where: Endpoint = endpoint
        return where


@define(eq=False)
class Dialer:
    """Opens WebSockets for all wormholes of one process.

    At most `limit` of them are between dialling and open at a time, and the others wait in line. A
    socket that is not open after `timeout` seconds has failed. `clock` is the reactor; `endpoints`
    finds the server of a URL.

    Between `pause` and `resume`, nothing that a server says is handed on, and dialling stops.
    """

    clock: Clock = field(repr=False)
    limit: int = field(default=UNDER_WAY, kw_only=True)
    timeout: float = field(default=HANDSHAKE_TIME, kw_only=True)
    endpoints: Endpoints = field(
        default=Factory(lambda self: NamedServers(self.clock), takes_self=True),
        kw_only=True,
        repr=False,
    )
    _heartbeat: Heartbeat = field(
        default=Factory(lambda self: Heartbeat(self.clock), takes_self=True),
        init=False,
        repr=False,
    )
    _intake: Intake = field(
        default=Factory(lambda self: Intake(self.clock), takes_self=True),
        init=False,
        repr=False,
    )
    _line: deque["_Dialling"] = field(factory=deque, init=False, repr=False)
    _under_way: int = field(default=0, init=False)
    _starting: bool = field(default=False, init=False, repr=False)

    @property
    def under_way(self) -> int:
        """How many handshakes are under way."""
        return self._under_way

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return sum(not dialling.given_up for dialling in self._line)

    def pause(self) -> None:
        """Accept nothing more, because it could not be made durable."""
        self._intake.pause()

    def resume(self) -> None:
        """Continue, with what has arrived meanwhile."""
        self._intake.resume()
        self._start_some()

    def dial(self, url: str, listener: Listener) -> WebSocket:
        """Start to open a connection to the server at `url`, as soon as its turn comes.

        `listener` is told the outcome, but not before this call has returned. Raises BadRelayUrl.
        """
        uri = parse_relay_url(url)
        socket = WebSocket(uri, listener, self._heartbeat, self._intake)
        dialling = _Dialling(self, uri, socket)
        socket.dialled_by(dialling)
        self._line.append(dialling)
        self._start_some()
        return socket

    def _start_some(self) -> None:
        # An attempt that fails at once comes back here: the loop below is already running.
        if self._starting:
            return
        self._starting = True
        try:
            while self._line and self._under_way < self.limit and not self._intake.paused:
                dialling = self._line.popleft()
                if not dialling.given_up:
                    self._under_way += 1
                    dialling.begin()
        finally:
            self._starting = False

    def _one_less(self) -> None:
        self._under_way -= 1
        self._start_some()


@define(eq=False)
class _Dialling:
    """One socket that is being opened: in line, then under way, then forgotten."""

    _dialer: Dialer
    _uri: WebSocketURI
    _socket: WebSocket
    given_up: bool = field(default=False, init=False)
    _connecting: Deferred[object] | None = field(default=None, init=False)
    _timer: Timer | None = field(default=None, init=False)

    def begin(self) -> None:
        """Connect: its turn has come."""
        dialer = self._dialer
        self._timer = dialer.clock.callLater(dialer.timeout, self._too_late)
        connecting = maybeDeferred(self._connect)
        self._connecting = connecting
        connecting.addCallbacks(self._connected, self._failed)

    def finished(self) -> None:
        """The socket is open, or never will be: start the next one (see `Attempt`)."""
        if self._timer is None:
            return  # it was still waiting in line
        if self._timer.active():
            self._timer.cancel()
        self._dialer._one_less()  # noqa: SLF001 - one idea in two classes

    def cancel(self) -> None:
        """This socket is not needed any more (see `Attempt`)."""
        self.given_up = True
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            connecting.cancel()

    def _connect(self) -> Deferred[object]:
        return self._dialer.endpoints(self._uri).connect(_OneProtocol(self._socket))

    def _connected(self, _: object) -> None:
        self._connecting = None

    def _failed(self, failure: Failure) -> None:
        # If it failed because it was given up, the socket already has its reason, and ignores this.
        self._connecting = None
        self._socket.fail(f"cannot connect: {reasons.of_failure(failure)}", failure.value)

    def _too_late(self) -> None:
        self._socket.fail(f"no connection within {self._dialer.timeout:g} seconds")


class _OneProtocol(ClientFactory):
    """What Twisted's endpoints need: a factory, here for a protocol that exists already."""

    noisy = False

    def __init__(self, socket: WebSocket) -> None:
        self._socket: WebSocket | None = socket

    def buildProtocol(self, addr: IAddress | None) -> Any:  # noqa: ARG002 - Twisted's
        """The protocol, once."""
        socket, self._socket = self._socket, None
        return socket
