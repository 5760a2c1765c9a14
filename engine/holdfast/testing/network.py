"""Connections in memory, between the wormholes of a test and its mailbox server."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from attrs import define, field
from twisted.internet.defer import Deferred, succeed

from holdfast.api import connect_through
from holdfast.rendezvous.boundaries import Clock, ConnectionEnded, Fault, Timer
from holdfast.testing.direct import Direct
from holdfast.testing.server import Line, MailboxServer
from holdfast.transit.network import through

if TYPE_CHECKING:
    from holdfast.rendezvous.connector import ConnectionOwner
    from holdfast.rendezvous.websocket import WebSocket

URL: Final = "ws://mailbox.example/v1"
"""The mailbox server's URL, for code that must give one."""

RETRY: Final = 1.0
"""Seconds between the end of a connection and the next attempt."""


def _lives() -> bool:
    return False


@define(eq=False, repr=False)
class Network:
    """What is on its way between wormholes and a mailbox server, in the order in which it was sent.

    What a wormhole says reaches the server at once. What it hears waits until `step` or
    `deliver_all` lets it arrive, so that a test can do something between any two messages.

    Every wormhole that is made on `clock`, as by `holdfast.create(appid, URL, clock)`, connects
    through here, also to its peer if it is dilated.

    Args:
        server: the server that every URL leads to.
        clock: times the reconnection after a connection has ended, one second later.
    """

    server: MailboxServer
    clock: Clock
    together: bool = False
    """Whether a wormhole reads everything that has come for it at once, or message by message."""
    log: list[tuple[str, str]] = field(factory=list, init=False)
    """What the server was told: by which side, and the frame's type, with the phase of an `add`."""
    connectors: list[Connector] = field(factory=list, init=False)
    """The connectors that are started, and not stopped."""
    queue: deque[Callable[[], object]] = field(factory=deque, init=False)
    """What arrives next, as calls without arguments."""
    direct: Direct = field(init=False)
    """The connections of dilated wormholes, which a test may `cut`."""

    def __attrs_post_init__(self) -> None:
        self.direct = Direct(self.queue)
        connect_through(self.clock, self.connector)
        if not hasattr(self.clock, "listenTCP"):  # a real reactor has a network of its own
            through(self.clock, self.direct.host(self.clock))

    def connector(
        self,
        url: str,  # noqa: ARG002 - as a connector is made
        owner: ConnectionOwner,
        *,
        clock: Clock | None = None,
        is_dead: Callable[[], bool] = _lives,
    ) -> Any:
        """Make a wormhole's connector, in place of `holdfast.rendezvous.connector`.

        Args:
            url: ignored.
            owner: whose connections they are.
            clock: that of the owner's process, unless it is the network's.
            is_dead: asked before anything is sent: whether that process has just died.
        """
        return Connector(self, owner, self.clock if clock is None else clock, is_dead)

    def step(self) -> bool:
        """Let the next thing arrive; return False if nothing is on its way."""
        if not self.queue:
            return False
        self.queue.popleft()()
        return True

    def deliver_all(self) -> None:
        """Let everything arrive that is on its way, and what follows from it."""
        while self.step():
            pass

    def hear(self, link: Link, text: str) -> None:
        """Pass `text` from a wormhole to the server."""
        frame = json.loads(text)
        kind = frame["type"]
        said = f"add {frame['phase']}" if kind == "add" else kind
        link.line.hear(text)
        self.log.append((str(link.line.side), said))


@define(eq=False, repr=False)
class Connector:
    """Keeps one wormhole connected, for as long as its owner wants that."""

    network: Network
    owner: ConnectionOwner
    clock: Clock
    is_dead: Callable[[], bool] = _lives
    longest_delay: float = field(default=RETRY, init=False)
    """Not heeded here, where all attempts have the same distance."""
    link: Link | None = field(default=None, init=False)
    """The newest connection."""
    there: bool = field(default=False, init=False)
    """Whether it is started, and not stopped."""
    _retry: Timer | None = field(default=None, init=False)

    def start(self) -> None:
        """Start to connect."""
        self.there = True
        self.network.connectors.append(self)
        self._connect()

    def stop(self) -> Deferred[None]:
        """Hang up, and tell the owner nothing more."""
        if self.there:
            self.there = False
            self.network.connectors.remove(self)
            self._calm()
            if self.link is not None:
                self.link.close()
        return succeed(None)

    def welcomed(self) -> None:
        """The server's welcome was good; nothing has to be done here."""

    def retry_now(self) -> None:
        """Make the next attempt now."""
        if self._retry is not None:
            self._calm()
            self._connect()

    def cut(self, reason: str = "connection lost", fault: Fault | None = None) -> None:
        """Break the connection, and lose everything that is on its way to the owner."""
        if self.link is not None and self.link.up:
            self.link.line.gone()
            self.link.lost(reason, fault)

    def ended(self, end: ConnectionEnded) -> None:
        """The connection is gone."""
        self.later(self.owner.disconnected, end)
        self._retry = self.clock.callLater(RETRY, self._connect)

    def later(self, method: Callable[..., object], *args: object) -> None:
        """Tell the owner, unless it has gone by then."""
        self.network.queue.append(partial(self._tell, method, *args))

    def _connect(self) -> None:
        self._retry = None
        if self.network.server.running:
            self.link = Link(self)
        else:
            end = ConnectionEnded("connection refused", clean=False)
            self.later(self.owner.failed, end, RETRY)
            self._retry = self.clock.callLater(RETRY, self._connect)

    def _calm(self) -> None:
        timer, self._retry = self._retry, None
        if timer is not None and timer.active():
            timer.cancel()

    def _tell(self, method: Callable[..., object], *args: object) -> None:
        if self.there:
            method(*args)


@define(eq=False, repr=False)
class Link:
    """One connection, as its wormhole sees it, in place of a WebSocket."""

    connector: Connector
    up: bool = field(default=True, init=False)
    is_paused: bool = field(default=False, init=False)
    """Whether what the server says waits, because the journal cannot take it in."""
    line: Line = field(init=False)
    """The server's end."""
    _acks: list[str] = field(factory=list, init=False)
    _unread: list[str] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        connector = self.connector
        connector.later(connector.owner.connected, cast("WebSocket", self))
        self.line = connector.network.server.connect(self.deliver, self._server_hangs_up)

    def send(self, text: str) -> None:
        """Say `text` to the server."""
        if self.up and not self.connector.is_dead():
            self.connector.network.hear(self, text)

    def close(self) -> None:
        """Hang up."""
        if self.up:
            self.up = False
            self.line.gone()

    def abort(self, reason: str = "we dropped the connection") -> None:
        """Hang up, and connect again."""
        self.connector.cut(reason)

    def lost(self, reason: str, fault: Fault | None = None) -> None:
        """End the link, and tell the owner."""
        self.up = False
        self.connector.ended(ConnectionEnded(reason, clean=False, fault=fault))

    def deliver(self, text: str) -> None:
        """Have the owner receive `text`, when its turn comes."""
        self._acks.append(text)
        # An ack says nothing new: it arrives with what follows it, as over a real connection.
        if '"type": "ack"' not in text:
            texts, self._acks = self._acks, []
            self.connector.network.queue.append(partial(self._receive, texts))

    def _server_hangs_up(self) -> None:
        self.lost("the server hung up")

    def _receive(self, texts: list[str]) -> None:
        waiting = bool(self._unread)
        self._unread += texts
        if not self.connector.network.together:
            self._read()
        elif not waiting:
            self.connector.network.queue.append(self._read)

    def _read(self) -> None:
        texts, self._unread = self._unread, []
        if self.up and self.connector.there and texts:
            self.connector.owner.received(texts)
