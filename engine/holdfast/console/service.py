"""The console as a service of Twisted: put together, started, and stopped."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.threadpool import ThreadPool

from holdfast.console.api.server import ApiServer
from holdfast.console.assets import Assets
from holdfast.console.desk import Desk
from holdfast.console.entering import Entering
from holdfast.console.gate import Gate, Proxy
from holdfast.console.listening import Where, tls_context
from holdfast.console.live import Live
from holdfast.console.page import Page
from holdfast.console.pages import PAGES
from holdfast.console.rates import Rates
from holdfast.console.sessions import Sessions
from holdfast.console.site import THREADS, Console
from holdfast.console.viewers import Role
from holdfast.console.wire import GuardedSite
from holdfast.console.working import Working
from holdfast.operating.audit import operator
from holdfast.operating.hooks import NO_HOOKS, AskedHooks
from holdfast.operating.jobs import Runner
from holdfast.operating.refused import Refused
from holdfast.server.address import endpoint
from holdfast.server.errors import AddressUnusable
from holdfast.server.listening import ListeningService

if TYPE_CHECKING:
    from holdfast_journal import SqlJournal

WRONG_AT_ONCE = 10
WRONG_EACH = 10.0
"""How many wrong keys and tokens an address may show at once, and after how many seconds more."""

CALLS_AT_ONCE = 200
CALLS_EACH = 0.02
"""How much a token may ask of the API at once, and after how many seconds once more."""


class ConsoleService(ListeningService):
    """A console; made by `service`. when_listening() gives its one-time address."""

    def __init__(
        self,
        listens: Any,
        where: Where,
        factory: Any,
        pool: ThreadPool,
        journal: SqlJournal,
        key: Callable[[], str],
        live: Live,
        working: Working,
    ) -> None:
        super().__init__(listens, where.listen, factory, self._named)
        self._where = where
        self._pool = pool
        self._opened = journal
        self._key = key
        self._live = live
        self._working = working

    def startService(self) -> None:
        """Start the threads, go on with what is to be done, and listen."""
        self._pool.start()
        self._working.start()
        super().startService()

    def stopService(self) -> Deferred[None]:  # pyrefly: ignore[bad-override]
        """End the streams, and stop."""
        self._live.stop()
        return super().stopService()

    def _named(self, _: str, bound: IAddress) -> str:
        return f"{self._where.address(bound)}/login?key={self._key()}"

    def _closed(self, result: Any) -> Any:
        self._working.stop()
        self._pool.stop()
        self._opened.close()
        return result


def service(
    reactor: Any,
    journal: SqlJournal,
    where: Where,
    *,
    relay: str,
    appid: str,
    proxy: Proxy | None = None,
    hooks: AskedHooks = NO_HOOKS,
) -> ConsoleService:
    """Return a console, not yet started; it closes the journal when it stops.

    Args:
        reactor: Twisted's, whose seconds never jump.
        journal: opened inline; no worker.
        where: where to listen.
        relay: the mailbox server of flows that are started here.
        appid: their application id.
        proxy: a reverse proxy that says who asks.
        hooks: who is told of flows that are started here.

    Raises:
        Refused: the address or the certificate cannot be used.
    """
    pool = ThreadPool(0, THREADS + 1, name="console")  # one more for jobs
    console, sessions = console_of(reactor, journal, pool, relay, appid, proxy, where, hooks)
    live = Live(console)
    live.add()
    factory: Any = GuardedSite(console.app.resource(), reactor, where.known_as, secure=where.secure)
    if where.tls is not None:
        factory = TLSMemoryBIOFactory(
            tls_context(*where.tls), isClient=False, wrappedFactory=factory
        )
    try:
        listens = endpoint(reactor, _private(where.listen))
    except AddressUnusable as error:
        raise Refused(f"--listen: {error}") from None
    name = operator().who
    working = Working(Runner(journal, f"{name} {secrets.token_hex(8)}"), pool, reactor)

    def key() -> str:
        return sessions.one_time_key(name, Role.CODES)

    return ConsoleService(listens, where, factory, pool, journal, key, live, working)


def console_of(
    reactor: Any,
    journal: SqlJournal,
    pool: ThreadPool,
    relay: str,
    appid: str,
    proxy: Proxy | None,
    where: Where,
    hooks: AskedHooks = NO_HOOKS,
) -> tuple[Console, Sessions]:
    """Return what answers requests, and who is logged in."""
    menu = [(p.path, p.menu, p.role) for p in PAGES if isinstance(p, Page) and p.menu is not None]
    sessions = Sessions(reactor.seconds)
    desk = Desk(journal, relay, appid, menu, hooks)
    console = Console(desk, Gate(sessions, proxy), pool, reactor)
    secure = where.secure
    wrong = Rates(WRONG_AT_ONCE, WRONG_EACH, reactor.seconds)
    Entering(console, wrong, secure).add()
    Assets().add(console.app)
    ApiServer(console, wrong, Rates(CALLS_AT_ONCE, CALLS_EACH, reactor.seconds)).add()
    console.add(PAGES)
    return console, sessions


def _private(listen: str) -> str:
    """Let only our user and group use a socket in the file system, unless it says otherwise."""
    is_socket = listen.startswith("unix:") and ":mode=" not in listen
    return f"{listen}:mode=660" if is_socket else listen
