"""Where the other side may come in."""

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from holdfast.transit.attempt import Attempt, MadeBy
from holdfast.transit.network import Network, Port


class Door:
    """A port that is opened once, and closed once.

    Args:
        network: the network.
        accept: makes the protocol of a connection from an address; None to close it.
        closed: whether it must stay closed.

    It is closed too if the port is not free: the other side may still be dialled.
    """

    def __init__(
        self,
        network: Network,
        accept: Callable[[IAddress | None], Attempt | None],
        *,
        closed: bool,
    ) -> None:
        self._network = network
        self._factory = MadeBy(accept)
        self._closed = closed
        self._port: Port | None = None
        self.down: Deferred[None] = succeed(None)
        """Fires when the port is free, once it is closed."""

    @property
    def port(self) -> int | None:
        """Its number; None while it is closed."""
        return None if self._port is None else self._port.port

    def open(self, port: int) -> Deferred[int | None]:
        """Listen on `port`, or on any that is free if it is 0; see `Contest.listen`."""
        if self._closed:
            return succeed(None)
        return self._network.listen(port, self._factory).addCallbacks(self._opened, self._failed)

    def close(self) -> None:
        """Take no more."""
        self._closed = True
        port, self._port = self._port, None
        if port is not None:
            self.down = port.stop()

    def _opened(self, port: Port) -> int | None:
        if self._closed:  # meanwhile
            self.down = port.stop()
            return None
        self._port = port
        return port.port

    def _failed(self, failure: Failure) -> None:
        failure.trap(CannotListenError, OSError)
