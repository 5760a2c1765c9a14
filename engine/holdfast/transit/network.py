"""The network under the connecting part: `Internet` in real life, anything in a test."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

import ifaddr
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from holdfast.clock import Clock as Clock
from holdfast.clock import Timer as Timer
from holdfast.transit.errors import WireError
from holdfast.transit.wire import SocketWire, Wire

MOST_ADDRESSES: Final = 12
"""Addresses of this host that are told. Some receivers wait five seconds for each that is dead."""

CONNECT_TIME: Final = 30.0
"""Seconds for a connection to be opened."""

BACKLOG: Final = 50
TRIES: Final = 5
"""Ports that are tried until one is free for IPv4 and IPv6."""


class Port(Protocol):
    """Where connections come in."""

    @property
    def port(self) -> int:
        """The number of the port."""
        ...

    def stop(self) -> Deferred[None]:
        """Take no more; fires when the port is free."""
        ...


class Network(Protocol):
    """Connections out and in."""

    @property
    def clock(self) -> Clock:
        """The time."""
        ...

    @property
    def hides(self) -> bool:
        """Whether everything goes through Tor: nobody comes in, and no address is told."""
        ...

    def connect(self, host: str, port: int, factory: Factory) -> Deferred[IProtocol]:
        """Connect to `host`; cancelling the Deferred gives it up."""
        ...

    def listen(self, port: int, factory: Factory) -> Deferred[Port]:
        """Take connections in on `port`; 0 for any that is free.

        Fails with OSError or Twisted's CannotListenError if that port is not free.
        """
        ...

    def addresses(self) -> Sequence[str]:
        """The addresses of this host at which others may reach it; 127.0.0.1 only if alone."""
        ...

    def wire(self, transport: Any, leftover: bytes) -> Wire:
        """Take the connection away from `transport`, which is of no use from then on.

        What was written to it goes out before anything that the wire sends.

        Raises:
            WireError: the connection broke meanwhile.
        """
        ...


_networks: WeakKeyDictionary[Any, Network] = WeakKeyDictionary()


def network_of(reactor: Any, tor: Any = None) -> Network:
    """The network on which a program on `reactor` connects, through `tor` if that is given."""
    if tor is None and reactor in _networks:
        return _networks[reactor]
    return Internet(reactor, tor)


def through(reactor: Any, network: Network) -> None:
    """Have everything on `reactor` connect through `network`, except what uses Tor.

    For tests, whose reactor is a clock.
    """
    _networks[reactor] = network


class Internet:
    """TCP over IPv4 and IPv6, or through Tor.

    Args:
        reactor: Twisted's reactor.
        tor: an object with txtorcon's method `stream_via(host, port, tls)`; with it, no connection
            is made past Tor, and none comes in.
    """

    def __init__(self, reactor: Any, tor: Any = None) -> None:
        self.clock: Clock = reactor
        self._reactor = reactor
        self._tor = tor

    @property
    def hides(self) -> bool:
        """Whether everything goes through Tor."""
        return self._tor is not None

    def connect(self, host: str, port: int, factory: Factory) -> Deferred[IProtocol]:
        """Connect to `host`, an address or a name."""
        return maybeDeferred(lambda: self._endpoint(host, port).connect(factory))

    def listen(self, port: int, factory: Factory) -> Deferred[Port]:
        """Take connections in, over IPv6 too if this host has it."""
        return maybeDeferred(self._listen, port, factory)

    def addresses(self) -> Sequence[str]:
        """The addresses of this host's interfaces, IPv4 first."""
        found = [
            ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            for adapter in ifaddr.get_adapters()
            for ip in adapter.ips
        ]
        return reachable(found)

    def wire(self, transport: Any, leftover: bytes) -> Wire:
        """Take the socket away from Twisted."""
        if not transport.connected:
            raise WireError
        transport.stopReading()
        transport.doWrite()  # a few bytes at most, for which a new socket always has room
        transport.stopWriting()
        descriptor = transport.getHandle().detach()
        transport.connectionLost(Failure(ConnectionDone()))
        # A socket with a time limit does not care in which mode the descriptor is.
        return SocketWire(descriptor, leftover)

    def _endpoint(self, host: str, port: int) -> Any:
        if self._tor is not None:
            return self._tor.stream_via(host, port, tls=False)
        kind: Any = HostnameEndpoint
        if isIPAddress(host):  # a lookup takes a thread, and as much time as the rest
            kind = TCP4ClientEndpoint
        elif isIPv6Address(host):
            kind = TCP6ClientEndpoint
        return kind(self._reactor, host, port, timeout=CONNECT_TIME)

    def _listen(self, port: int, factory: Factory, tries: int = TRIES) -> Port:
        ipv6 = _ipv6_socket(port)
        number = port if ipv6 is None else ipv6.getsockname()[1]
        try:
            ports = [self._reactor.listenTCP(number, factory, backlog=BACKLOG)]
        except CannotListenError:
            if ipv6 is not None:
                ipv6.close()
            if port != 0 or tries == 1:
                raise
            return self._listen(port, factory, tries - 1)
        if ipv6 is not None:
            with ipv6:  # the reactor takes a duplicate
                ports.append(self._reactor.adoptStreamPort(ipv6.fileno(), socket.AF_INET6, factory))
        return _Ports(ports[0].getHost().port, ports)


def _ipv6_socket(port: int) -> socket.socket | None:
    """A socket that listens on `port` for IPv6 alone, as Twisted cannot ask for it.

    None if that port is not free, or this host has no IPv6.
    """
    made: socket.socket | None = None
    try:
        made = socket.socket(socket.AF_INET6)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.settimeout(0)
        made.bind(("::", port))
        made.listen(BACKLOG)
    except OSError:
        if made is not None:
            made.close()
        return None
    return made


class _Ports:
    """The same port number for IPv4 and for IPv6."""

    def __init__(self, port: int, ports: Iterable[Any]) -> None:
        self.port = port
        self._ports = list(ports)

    async def _stop(self) -> None:
        while self._ports:
            await maybeDeferred(self._ports.pop().stopListening)

    def stop(self) -> Deferred[None]:
        """Take no more connections."""
        return Deferred.fromCoroutine(self._stop())


def reachable(addresses: Iterable[str]) -> Sequence[str]:
    """Those of `addresses` that a peer may reach, IPv4 first, or 127.0.0.1 if there are none."""
    parsed = dict.fromkeys(ip_address(each.partition("%")[0]) for each in addresses)
    good = [
        address
        for address in parsed
        if not (address.is_loopback or address.is_link_local or address.is_multicast)
    ]
    good.sort(key=lambda address: address.version)
    return [str(each) for each in good[:MOST_ADDRESSES]] or ["127.0.0.1"]
