"""The running transit relay: the package's matching of clients, within bounds."""

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger

from holdfast.server import address
from holdfast.server.errors import PackageMissing
from holdfast.server.listening import ListeningService

if TYPE_CHECKING:
    from holdfast.server.relay_client import Bounds, RelayClient

WAIT = 86_400.0
"""Seconds that a client may wait for its partner, unless the operator says otherwise."""

IDLE = 3_600.0
"""Seconds of silence after which a pair is dropped, unless the operator says otherwise.

The receiver of a large folder may unpack it for minutes before it says that it has it.
"""

_log = Logger()


class _Clients(ServerFactory):
    """All connections, at most so many."""

    log_requests = False  # the package would log tokens

    def __init__(self, transit: Any, bounds: "Bounds", clock: Any) -> None:
        self._transit = transit
        self._bounds = bounds
        self._clock = clock
        self._there: set[RelayClient] = set()
        self._said_full = False
        self._all_gone: Deferred[None] | None = None

    def buildProtocol(self, addr: IAddress | None) -> "RelayClient | None":  # noqa: ARG002
        """Make one; None, and so an end at once, if there are enough."""
        from holdfast.server.relay_client import RelayClient

        most = self._bounds.connections
        if most is not None and len(self._there) >= most:
            self._is_full(most)
            return None
        client = RelayClient(self._transit, self._bounds, self._clock)
        client.factory = self
        self._there.add(client)
        return client

    def is_gone(self, client: "RelayClient") -> None:
        """A connection has ended."""
        self._there.discard(client)
        if not self._there and self._all_gone is not None:
            gone, self._all_gone = self._all_gone, None
            gone.callback(None)

    def cut_all(self) -> "Deferred[None] | None":
        """End every connection at once; return a Deferred that fires when they have ended."""
        if not self._there:
            return None
        gone = self._all_gone = Deferred()
        for client in list(self._there):
            client.cut()
        return gone

    def _is_full(self, most: int) -> None:
        if not self._said_full:
            self._said_full = True
            _log.warn(
                "there are {most} connections, as many as are allowed; who comes now is sent away",
                most=most,
            )


class RelayService(ListeningService):
    """A transit relay as a Twisted service; made by `relay_service()`.

    startService() makes it listen; stopService() closes the port, then every connection.
    when_listening() gives what clients take as their transit relay, `tcp:HOST:PORT`.
    """

    def __init__(self, endpoint: Any, listen: str, clients: _Clients) -> None:
        super().__init__(endpoint, listen, clients, address.transit)
        self._clients = clients

    def _closed(self, result: Any) -> Any:
        gone = self._clients.cut_all()
        return result if gone is None else gone.addCallback(lambda _: result)


def relay_service(
    reactor: Any,
    *,
    listen: str,
    most: int | None = None,
    pair_bytes: int = 0,
    wait: float = WAIT,
    idle: float = IDLE,
    clock: Any = None,
) -> RelayService:
    """Return a transit relay, not yet started.

    `listen` is `host:port` (0 lets the system choose the port), `[v6 address]:port` or a
    Twisted endpoint string. `most` is how many connections there may be; further ones are closed at
    once. `pair_bytes` is how many bytes a pair may send, both directions together; 0 is for any
    number. `wait` is how many seconds a client may wait for its partner, and `idle` how many
    seconds both of a pair may be silent. `clock` is an IReactorTime for these times, by
    default the reactor.

    Raises PackageMissing or AddressUnusable (malformed); when_listening() fails if the address
    cannot be bound.
    """
    try:
        from wormhole_transit_relay.transit_server import Transit
        from wormhole_transit_relay.usage import create_usage_tracker

        from holdfast.server.relay_client import Bounds
    except ModuleNotFoundError as error:
        raise PackageMissing("transit relay", "relay") from error
    endpoint = address.endpoint(reactor, listen)
    clock = reactor if clock is None else clock
    nobody_counts = create_usage_tracker(blur_usage=None, log_file=None, usage_db=None)
    bounds = Bounds(most, pair_bytes, wait, idle)
    transit = Transit(nobody_counts, clock.seconds)
    return RelayService(endpoint, listen, _Clients(transit, bounds, clock))
