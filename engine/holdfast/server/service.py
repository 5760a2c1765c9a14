"""The running server: the package's parts, put together with our own retention."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twisted.application.internet import TimerService

from holdfast.server import address
from holdfast.server.database import MailboxDatabase, open_database
from holdfast.server.errors import PackageMissing
from holdfast.server.listening import ListeningService
from holdfast.server.sweeping import Sweeper, period
from holdfast.server.turn import Turn
from holdfast.server.watches import Watches

if TYPE_CHECKING:
    from holdfast.server.websocket import Connections

COUNTS: Final = {
    "nameplates": "SELECT count(*) FROM nameplates",
    "mailboxes": "SELECT count(*) FROM mailboxes",
    "messages": "SELECT count(*) FROM messages",
    "watchers": "SELECT count(*) FROM holdfast_watchers",
    "watches": "SELECT count(*) FROM holdfast_watches",
    "arrivals": "SELECT count(*) FROM holdfast_arrivals",
}
"""What is counted, and how."""

WATCHED: Final = 250_000
"""How many mailboxes one watcher may watch, unless the operator says otherwise."""


class MailboxService(ListeningService):
    """A mailbox server as a Twisted service; made by `service()`.

    startService() makes it listen, and forget old mailboxes; stopService() closes the port, then
    the database. when_listening() gives the URL for clients, `ws://HOST:PORT/v1`.
    """

    def __init__(
        self,
        endpoint: Any,
        listen: str,
        site: Any,
        connections: "Connections",
        database: MailboxDatabase,
        sweeper: Sweeper,
    ) -> None:
        super().__init__(endpoint, listen, site, address.url)
        self.connections = connections
        """Those of its clients."""
        self.turn: Turn = connections.turn
        """What commits."""
        self._database = database
        self._sweeper = sweeper

    def unwell(self) -> None:
        """It makes progress if this is called at all: it does everything in the reactor's thread.

        This and `unready` are what `holdfast.operating.health.Health` asks.
        """

    def unready(self) -> str | None:
        """One line that says why it cannot serve clients now; None if it can."""
        if self.bound is None:
            return "not listening"
        return None if self.turn.is_well else "the database could not be written"

    def count(self) -> Mapping[str, int]:
        """How many rows there are of `COUNTS`. For a thread: it blocks. Raises sqlite3.Error."""
        uri = f"{self._database.path.as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            return {
                table: connection.execute(count).fetchone()[0] for table, count in COUNTS.items()
            }

    def _closed(self, result: Any) -> Any:
        self._sweeper.stop()
        try:
            self.turn.end()
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
    watched: int = WATCHED,
) -> MailboxService:
    """Return a mailbox server, not yet started, on an open database.

    `listen` is `host:port` (0 lets the system choose the port), `[v6 address]:port` or a
    Twisted endpoint string. `keep` is how many seconds the server remembers a mailbox that is not
    used and has no subscribers. The time during which the server itself is down counts too: it
    forgets what is older as soon as it starts. `motd` is shown to every client that connects.
    `most` is how many connections there may be; further clients are told so.
    `watched` is how many mailboxes one watcher may watch; with 0 watching is not offered.

    Raises PackageMissing, AddressUnusable (malformed) or DatabaseUnusable; when_listening() fails
    if the address cannot be bound.
    """
    try:
        from wormhole_mailbox_server.database import create_or_upgrade_channel_db

        from holdfast.server.applications import Applications
        from holdfast.server.websocket import Connections, site
    except ModuleNotFoundError as error:
        raise PackageMissing from error
    endpoint = address.endpoint(reactor, listen)
    opened = open_database(database, create_or_upgrade_channel_db)
    soon = partial(reactor.callLater, 0)
    turn = Turn(opened.connection, soon)
    server = Applications(turn, motd)
    watches = Watches.on(opened.connection, turn, watched)
    connections = Connections(server, watches, most)
    web = site(server, connections)
    sweeper = Sweeper(server, turn, keep, watches, soon)
    result = MailboxService(endpoint, listen, web, connections, opened, sweeper)
    server.setServiceParent(result)
    sweeps = TimerService(period(keep), sweeper)
    sweeps.clock = reactor
    sweeps.setServiceParent(result)
    return result
