"""One connection to a mailbox server that offers watching (watching.md), for one application.

It finds out whether the server offers that, says who watches, and carries what
`holdfast.rendezvous.watching` has to say. What was asked and not answered ends with the connection.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from holdfast.core import events as ev
from holdfast.core.frames import Bind
from holdfast.rendezvous import watch_frames
from holdfast.rendezvous.boundaries import ConnectionEnded
from holdfast.rendezvous.connector import Connector
from holdfast.rendezvous.watch_frames import Arrival, Wanted
from holdfast.rendezvous.watching import Confirmed, HasCome, Refused, Returned, Watching
from holdfast.rendezvous.wire import Malformed, read, write
from holdfast.shell.contact import MakesConnector

if TYPE_CHECKING:
    from holdfast.rendezvous.websocket import WebSocket
    from holdfast_journal import Watcher

SIDE_BYTES: Final = 5
"""Of the side under which a line binds, which means nothing."""

RETRIES_WITHIN: Final = 5.0
"""Seconds between two attempts to connect at most: all who come to a server that is back wait for
this one connection."""

_log = Logger()


class Told(Protocol):
    """Who is told what the server says, and makes durable what follows from it."""

    def returned(self, line: WatchLine, revision: int, noted: Callable[[], object]) -> None:
        """What was confirmed above `revision` is not watched; call `noted` when that is durable."""
        ...

    def confirmed(self, confirmed: Confirmed) -> None:
        """The server's answer to `watch`."""
        ...

    def has_come(
        self, line: WatchLine, arrivals: Sequence[Arrival], acknowledge: Callable[[], object]
    ) -> None:
        """Something has come for these; call `acknowledge` when that is durable."""
        ...

    def refused(self, line: WatchLine, refused: Refused) -> None:
        """The server does not watch these."""
        ...

    def cut(self, line: WatchLine) -> None:
        """The connection is gone, and with it what was not answered; another follows."""
        ...

    def not_offered(self, line: WatchLine) -> None:
        """This server does not offer watching, or not any more."""
        ...


@define(eq=False)
class WatchLine:
    """Keeps the connection of one watcher; a `ConnectionOwner`.

    Args:
        watcher: who watches, and where.
        told: is told what the server says.
        connector: makes what keeps us connected.
    """

    watcher: Watcher
    _told: Told
    _make: MakesConnector
    _connector: Connector = field(init=False)
    _link: WebSocket | None = field(default=None, init=False)
    _watching: Watching | None = field(default=None, init=False)
    """What is under way on the present connection; None before the server's offer."""
    is_ready: bool = field(default=False, init=False)
    """Whether mailboxes can be watched now."""

    def __attrs_post_init__(self) -> None:
        self._connector = self._make(self.watcher.url, self)
        self._connector.longest_delay = RETRIES_WITHIN
        self._connector.start()

    def stop(self) -> Deferred[None]:
        """Hang up. Fires when the connection is down; nobody is told anything more."""
        self._forget()
        return self._connector.stop()

    def watch(self, wanted: Iterable[Wanted]) -> None:
        """Ask for these. `Told` hears what becomes of it, if only that the connection is cut."""
        if self._watching is not None:
            self._watching.watch(wanted)
            self._say()

    def drop(self, why: str) -> None:
        """Cut the connection: it is of no use."""
        if self._link is not None:
            self._link.abort(why)

    # What the connector calls.

    def connected(self, link: WebSocket) -> None:
        """A connection is up; the server is about to welcome us."""
        self._link = link

    def received(self, texts: Sequence[str]) -> None:
        """The server said something."""
        try:
            for text in texts:
                if self._link is None:
                    return
                if self._watching is None:
                    self._hear_welcome(self._link, text)
                else:
                    self._hear(self._watching, text)
        except Malformed as error:
            self.drop(str(error))

    def disconnected(self, reason: ConnectionEnded) -> None:
        """The connection is gone."""
        _log.debug("watching: {reason}", reason=reason.reason)
        self._forget()
        self._told.cut(self)

    def failed(self, reason: ConnectionEnded, retry_in: float) -> None:
        """No connection could be made this time."""

    # Inside.

    def _hear_welcome(self, link: WebSocket, text: str) -> None:
        said = read(text)
        if not isinstance(said, ev.Welcomed):
            return
        self._connector.welcomed()
        offer = watch_frames.offered(said.welcome)
        if offer is None:
            self._told.not_offered(self)
            return
        side = os.urandom(SIDE_BYTES).hex()
        link.send(write(Bind(self.watcher.appid, side), os.urandom(2).hex()))
        self._watching = Watching(self.watcher.name)
        link.send(self._watching.connected(offer))

    def _hear(self, watching: Watching, text: str) -> None:
        match watching.hear(text):
            case Returned(revision):
                self._told.returned(self, revision, partial(self._noted, watching))
            case Confirmed() as confirmed:
                self._told.confirmed(confirmed)
            case HasCome(arrivals):
                then = partial(self._acknowledge, watching, arrivals)
                self._told.has_come(self, arrivals, then)
            case Refused() as refused:
                self._told.refused(self, refused)
                if not self.is_ready:
                    self.drop("the server does not let us watch")
        self._say()

    def _noted(self, watching: Watching) -> None:
        if watching is self._watching:
            self.is_ready = True
            watching.noted()
            self._say()

    def _acknowledge(self, watching: Watching, arrivals: Sequence[Arrival]) -> None:
        if watching is self._watching:  # a number means something only on its connection
            watching.acknowledge(arrivals)
            self._say()

    def _say(self) -> None:
        if self._watching is not None and self._link is not None:
            for text in self._watching.to_say():
                self._link.send(text)

    def _forget(self) -> None:
        self._link = self._watching = None
        self.is_ready = False
