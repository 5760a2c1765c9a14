"""Keep one wormhole connected to its mailbox server for as long as it wants to be.

What has to be said on a new connection follows from the wormhole's own state. So this module
does not know what is said, only when to try again.

That is what server-protocol.md, "WebSocket Transport", asks of clients.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, Protocol

from attrs import define, field
from twisted.internet.defer import Deferred, succeed

from holdfast.rendezvous.boundaries import ConnectionEnded, Timer
from holdfast.rendezvous.dialer import Dialer
from holdfast.rendezvous.relay_url import parse_relay_url
from holdfast.rendezvous.websocket import WebSocket

SHORTEST_DELAY: Final = 1.0
"""The fewest seconds from a failure to the first attempt after it."""

LONGEST_DELAY: Final = 60.0
"""The most seconds that an attempt waits."""

WELCOME_TIME: Final = 30.0
"""Seconds within which a server must say something on a new connection."""

SHORT_LIFE: Final = 10.0
"""A connection that lives for fewer seconds counts as short-lived."""

SHORT_LIVES: Final = 5
"""Connections in a row, each welcomed and soon cut, after which a welcome means nothing."""


class ConnectionOwner(Protocol):
    """Whose connection it is. It is never called from inside one of its own calls."""

    def connected(self, link: WebSocket) -> None:
        """A new connection is open, and still unused.

        What is sent on `link` never reaches another connection.
        """
        ...

    def received(self, texts: Sequence[str]) -> None:
        """Messages arrived together on the newest connection."""
        ...

    def disconnected(self, reason: ConnectionEnded) -> None:
        """The newest connection is gone; another follows automatically."""
        ...

    def failed(self, reason: ConnectionEnded, retry_in: float) -> None:
        """A connection could not be opened; the next attempt follows in `retry_in` seconds."""
        ...


class Jitter(Protocol):
    """The part of `random.Random` that is used here; all connectors may share one."""

    def uniform(self, a: float, b: float, /) -> float:
        """A number between the two."""
        ...


class ConnectorStage(Enum):
    """What a connector is doing."""

    NEW = auto()
    DIALLING = auto()
    CONNECTED = auto()
    PAUSING = auto()  # between two attempts
    STOPPING = auto()
    STOPPED = auto()


@define(eq=False)
class Connector:
    """Keeps one connection to `url` open from `start` to `stop`, each of which is called once.

    Raises `BadRelayUrl` for a URL that a server cannot have.
    """

    _dialer: Dialer = field(repr=False)
    _url: str = field(repr=False)
    _owner: ConnectionOwner = field(repr=False)
    _jitter: Jitter = field(repr=False)
    longest_delay: float = field(default=LONGEST_DELAY, init=False)
    """Seconds between two attempts at most."""
    _stage: ConnectorStage = field(default=ConnectorStage.NEW, init=False)
    _socket: WebSocket | None = field(default=None, init=False, repr=False)
    # While pausing: the next attempt. While connected: the time at which a mute server is dropped.
    _timer: Timer | None = field(default=None, init=False, repr=False)
    _stopped: tuple[Deferred[None], ...] = field(default=(), init=False, repr=False)
    _failures: int = field(default=0, init=False)
    _short_lives: int = field(default=0, init=False)
    _opened_at: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        parse_relay_url(self._url)

    @property
    def stage(self) -> ConnectorStage:
        """What the connector is doing."""
        return self._stage

    def start(self) -> None:
        """Start to connect."""
        if self._stage is not ConnectorStage.NEW:
            raise RuntimeError("a connector is started once")
        self._dial()

    def stop(self) -> Deferred[None]:
        """Disconnect for good. Fires when nothing is left; the owner is not called any more.

        May be called again, and from inside any call to the owner.
        """
        if self._stage is ConnectorStage.STOPPED:
            return succeed(None)
        self._quiet()
        socket = self._socket
        if socket is None:
            self._stage = ConnectorStage.STOPPED
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._stopped += (done,)
        if self._stage is not ConnectorStage.STOPPING:
            self._stage = ConnectorStage.STOPPING
            socket.close()
        return done

    def welcomed(self) -> None:
        """The server's welcome was good: the delays start anew after the next failure."""
        # If a server welcomes us and then cuts us off after our first frames, do not come back
        # every second.
        if self._short_lives < SHORT_LIVES:
            self._failures = 0

    def retry_now(self) -> None:
        """If the connector is waiting, try now: something has changed for the better."""
        if self._stage is ConnectorStage.PAUSING:
            self._quiet()
            self._dial()

    # Called by the dialer (see `Listener`).

    def opened(self) -> None:
        """The connection is open."""
        if self._stage is ConnectorStage.DIALLING and self._socket is not None:
            self._stage = ConnectorStage.CONNECTED
            self._opened_at = self._now()
            self._timer = self._dialer.clock.callLater(WELCOME_TIME, self._mute)
            self._owner.connected(self._socket)

    def received(self, texts: Sequence[str]) -> None:
        """Messages arrived."""
        if self._stage is ConnectorStage.CONNECTED:
            self._quiet()
            self._owner.received(texts)

    def closed(self, reason: ConnectionEnded) -> None:
        """The connection is gone, or could not be opened."""
        self._socket = None
        self._quiet()
        if self._stage is ConnectorStage.STOPPING:
            self._stage = ConnectorStage.STOPPED
            waiting, self._stopped = self._stopped, ()
            for done in waiting:
                done.callback(None)
            return
        was_connected = self._stage is ConnectorStage.CONNECTED
        if was_connected:
            self._judge(self._now() - self._opened_at)
        delay = self._next_delay()
        self._stage = ConnectorStage.PAUSING
        self._timer = self._dialer.clock.callLater(delay, self._dial)
        if was_connected:
            self._owner.disconnected(reason)
        else:
            self._owner.failed(reason, delay)

    # Inside.

    def _dial(self) -> None:
        self._timer = None
        self._stage = ConnectorStage.DIALLING
        self._socket = self._dialer.dial(self._url, self)

    def _mute(self) -> None:
        self._timer = None
        if self._socket is not None and self._socket.is_paused:
            # A welcome that waits for the journal counts as received.
            self._timer = self._dialer.clock.callLater(WELCOME_TIME, self._mute)
        elif self._socket is not None:
            self._socket.abort(f"no welcome from the server within {WELCOME_TIME:.0f} seconds")

    def _judge(self, lived: float) -> None:
        """Count a connection that lived for so many seconds as good or as short-lived."""
        if lived < SHORT_LIFE:
            self._short_lives += 1
        else:
            self._short_lives = 0

    def _next_delay(self) -> float:
        """Seconds to wait: up to twice as long each time, and different for every wormhole."""
        ceiling = min(self.longest_delay, 2 * SHORTEST_DELAY * 2 ** min(self._failures, 10))
        self._failures += 1
        return self._jitter.uniform(ceiling / 2, ceiling)

    def _quiet(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _now(self) -> float:
        return self._dialer.clock.seconds()
