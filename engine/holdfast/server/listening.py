"""A server that listens on one address, and says which when it does."""

from collections.abc import Callable
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from holdfast.server.errors import AddressUnusable


def unusable(listen: str, failure: Failure) -> AddressUnusable:
    """Say why the address `listen` could not be bound."""
    error = failure.value
    # Twisted's text names the address again; the operating system's words are enough.
    cause = error.socketError if isinstance(error, CannotListenError) else error
    why = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return AddressUnusable(f"cannot listen on {listen}: {why}")


class ListeningService(MultiService):
    """Listens while it runs.

    `name(listen, bound)` makes what clients are to be given from the operator's words and the
    address that is bound.
    """

    def __init__(
        self, endpoint: Any, listen: str, factory: Any, name: Callable[[str, IAddress], str]
    ) -> None:
        MultiService.__init__(self)
        self._endpoint = endpoint
        self._listen = listen
        self._factory = factory
        self._name = name
        self._port: Any = None  # an IListeningPort; interfaces have no types without a plugin
        self._listening: Deferred[None] | None = None
        self._waiting: list[Deferred[str]] = []
        self._outcome: str | Failure | None = None

    @property
    def bound(self) -> IAddress | None:
        """The address that is bound (for port 0, `port` is the system's choice), or None."""
        return None if self._port is None else self._port.getHost()

    def when_listening(self) -> Deferred[str]:
        """Return a Deferred of what clients are to be given, once it listens.

        Fails with AddressUnusable if the address cannot be bound. May be called many times.
        """
        waiting: Deferred[str] = Deferred()
        self._waiting.append(waiting)
        self._tell()
        return waiting

    def startService(self) -> None:
        """Start to listen, and what belongs to the server."""
        MultiService.startService(self)
        listening: Deferred[Any] = maybeDeferred(self._endpoint.listen, self._factory)
        self._listening = listening.addCallbacks(self._listens, self._does_not)

    # Twisted promises a Deferred; that it is a DeferredList is a checker's guess.
    def stopService(self) -> "Deferred[None]":  # pyrefly: ignore[bad-override]
        """Close the port and every connection, then what the server keeps open."""
        if self._listening is not None:
            self._listening.cancel()
        closed: Deferred[Any] = maybeDeferred(self._close_port)
        closed.addCallback(self._stop_children)
        closed.addBoth(self._closed)
        return closed

    def _closed(self, result: Any) -> Any:
        """Close what a kind of server has besides; return `result`, or a Deferred of it."""
        return result

    def _listens(self, port: Any) -> None:
        self._port = port
        self._outcome = self._name(self._listen, port.getHost())
        self._tell()

    def _does_not(self, failure: Failure) -> None:
        self._outcome = Failure(unusable(self._listen, failure))
        self._tell()

    def _tell(self) -> None:
        if self._outcome is None:
            return
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if isinstance(self._outcome, Failure):
                one.errback(self._outcome)
            else:
                one.callback(self._outcome)

    def _close_port(self) -> Any:
        port, self._port = self._port, None
        return None if port is None else port.stopListening()

    def _stop_children(self, _: object) -> Any:
        return MultiService.stopService(self)
