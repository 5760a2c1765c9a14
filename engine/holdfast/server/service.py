"""The running server: the package's parts, put together with our own retention."""

from functools import partial
from pathlib import Path
from typing import Any

from twisted.application.internet import TimerService

from holdfast.server import address
from holdfast.server.database import MailboxDatabase, open_database
from holdfast.server.errors import PackageMissing
from holdfast.server.listening import ListeningService
from holdfast.server.sweeping import Sweeper, period
from holdfast.server.turn import Turn

# Any value except None turns off the package's log of nameplates and mailboxes. The number
# itself rounds the times in a usage database, which we do not keep.
_QUIET = 3600


class MailboxService(ListeningService):
    """A mailbox server as a Twisted service; made by `service()`.

    startService() makes it listen, and forget old mailboxes; stopService() closes the port, then
    the database. when_listening() gives the URL for clients, `ws://HOST:PORT/v1`.
    """

    def __init__(
        self, endpoint: Any, listen: str, site: Any, turn: Turn, database: MailboxDatabase
    ) -> None:
        super().__init__(endpoint, listen, site, address.url)
        self._turn = turn
        self._database = database

    def _closed(self, result: Any) -> Any:
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
