"""The running server: the package's parts, put together with our own retention."""

from functools import partial
from pathlib import Path
from typing import Any

from twisted.application.internet import TimerService
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from holdfast.server import address
from holdfast.server.database import MailboxDatabase, open_database
from holdfast.server.errors import AddressUnusable, PackageMissing
from holdfast.server.sweeping import Sweeper, period
from holdfast.server.turn import Turn

# Any value except None turns off the package's log of nameplates and mailboxes. The number
# itself rounds the times in a usage database, which we do not keep.
_QUIET = 3600


class MailboxService(MultiService):
    """A mailbox server as a Twisted service; made by `service()`.

    startService() makes it listen; stopService() closes the port, then the database.
    """

    def __init__(
        self, endpoint: Any, listen: str, site: Any, turn: Turn, database: MailboxDatabase
    ) -> None:
        MultiService.__init__(self)
        self._endpoint = endpoint
        self._listen = listen
        self._site = site
        self._turn = turn
        self._database = database
        self._port: Any = None  # an IListeningPort; interfaces have no types without a plugin
        self._listening: Deferred[None] | None = None
        self._waiting: list[Deferred[str]] = []
        self._outcome: str | Failure | None = None

    @property
    def bound(self) -> IAddress | None:
        """The address that is bound (for port 0, `port` is the system's choice), or None."""
        return None if self._port is None else self._port.getHost()

    def when_listening(self) -> Deferred[str]:
        """Return a Deferred of the URL for clients, `ws://HOST:PORT/v1`, once it listens.

        Fails with AddressUnusable if the address cannot be bound. May be called many times.
        """
        waiting: Deferred[str] = Deferred()
        self._waiting.append(waiting)
        self._tell()
        return waiting

    def startService(self) -> None:
        """Start to forget old mailboxes, and to listen."""
        MultiService.startService(self)
        listening: Deferred[Any] = maybeDeferred(self._endpoint.listen, self._site)
        self._listening = listening.addCallbacks(self._listens, self._does_not)

    # Twisted promises a Deferred; that it is a DeferredList is a checker's guess.
    def stopService(self) -> "Deferred[None]":  # pyrefly: ignore[bad-override]
        """Close the port and every connection, then the database."""
        if self._listening is not None:
            self._listening.cancel()
        closed: Deferred[Any] = maybeDeferred(self._close_port)
        closed.addCallback(self._stop_children)
        closed.addBoth(self._close_database)
        return closed

    def _listens(self, port: Any) -> None:
        self._port = port
        self._outcome = address.url(self._listen, port.getHost())
        self._tell()

    def _does_not(self, failure: Failure) -> None:
        error = failure.value
        # Twisted's text names the address again; the operating system's words are enough.
        cause = error.socketError if isinstance(error, CannotListenError) else error
        why = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        self._outcome = Failure(AddressUnusable(f"cannot listen on {self._listen}: {why}"))
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

    def _close_database(self, result: Any) -> Any:
        try:
            self._turn.end()
        finally:
            self._database.close()
        return result


def service(
    reactor: Any,
    *,
    listen: str,
    database: Path,
    keep: float,
    motd: str | None = None,
    most: int | None = None,
) -> MailboxService:
    """Return a mailbox server, not yet started, on an open database.

    `listen` is `host:port` (0 lets the system choose the port), `[v6 address]:port` or a
    Twisted endpoint string. `keep` is how many seconds the server remembers a mailbox that is not
    used and has no subscribers. The time during which the server itself is down counts too: it
    forgets what is older as soon as it starts. `motd` is shown to every client that connects.
    `most` is how many connections there may be; further clients are told so.

    Raises PackageMissing, AddressUnusable (malformed) or DatabaseUnusable; when_listening() fails
    if the address cannot be bound.
    """
    try:
        from wormhole_mailbox_server.database import create_or_upgrade_channel_db
        from wormhole_mailbox_server.server import make_server

        from holdfast.server.websocket import site
    except ModuleNotFoundError as error:
        raise PackageMissing from error
    endpoint = address.endpoint(reactor, listen)
    opened = open_database(database, create_or_upgrade_channel_db)
    turn = Turn(opened.connection, partial(reactor.callLater, 0))
    server = make_server(turn, blur_usage=_QUIET, welcome_motd=motd)
    result = MailboxService(endpoint, listen, site(server, turn, most), turn, opened)
    server.setServiceParent(result)
    sweeps = TimerService(period(keep), Sweeper(server, turn, keep))
    sweeps.clock = reactor
    sweeps.setServiceParent(result)
    return result
