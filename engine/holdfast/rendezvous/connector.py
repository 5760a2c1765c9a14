"""Keep one wormhole connected to its mailbox server for as long as it wants to be.

Connections come and go; what has to be said on a new one follows from the wormhole's own
state. So this knows nothing of what is said, only when to try again.

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
"""Seconds that the first attempt after a failure waits at least."""

LONGEST_DELAY: Final = 60.0
"""Seconds that no attempt waits longer than."""

WELCOME_TIME: Final = 30.0
"""Seconds within which a server says something on a new connection."""

SHORT_LIFE: Final = 10.0
"""Seconds of a connection that might as well not have been."""

SHORT_LIVES: Final = 5
"""Connections in a row, each welcomed and cut at once, from which a welcome means nothing."""


class Owner(Protocol):
    """Whose connection it is. Nothing is called from inside a call of the owner's own."""

    def connected(self, link: WebSocket) -> None:
        """A new connection is open; nothing was said on it yet.

        What is sent on `link` never reaches another connection.
        """
        ...

    def received(self, texts: Sequence[str]) -> None:
        """Messages came together over the newest connection."""
        ...

    def disconnected(self, reason: ConnectionEnded) -> None:
        """The newest connection is gone; another will follow by itself."""
        ...

    def failed(self, reason: ConnectionEnded, retry_in: float) -> None:
        """No connection could be opened; the next attempt follows in `retry_in` seconds."""
        ...


class Jitter(Protocol):
    """What `random.Random` has of use here; one may serve all connectors."""

    def uniform(self, a: float, b: float, /) -> float:
        """A number between both."""
        ...


class Stage(Enum):
    """What a connector is doing."""

    NEW = auto()
    DIALLING = auto()
    CONNECTED = auto()
    PAUSING = auto()  # between two attempts
    STOPPING = auto()
    STOPPED = auto()


@define(eq=False)
class Connector:
    """Keeps one connection to `url` open from `start` to `stop`, each called once in its life.

    Raises `BadRelayUrl` for a URL that no server can have.
    """

    _dialer: Dialer = field(repr=False)
    _url: str = field(repr=False)
    _owner: Owner = field(repr=False)
    _jitter: Jitter = field(repr=False)
    _stage: Stage = field(default=Stage.NEW, init=False)
    _socket: WebSocket | None = field(default=None, init=False, repr=False)
    # The next attempt while pausing; while connected, the end of patience with a mute server.
    _timer: Timer | None = field(default=None, init=False, repr=False)
    _stopped: tuple[Deferred[None], ...] = field(default=(), init=False, repr=False)
    _failures: int = field(default=0, init=False)
    _short_lives: int = field(default=0, init=False)
    _opened_at: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        parse_relay_url(self._url)

    @property
    def stage(self) -> Stage:
        """What it is doing."""
        return self._stage

    def start(self) -> None:
        """Begin to connect."""
        if self._stage is not Stage.NEW:
            raise RuntimeError("a connector is started once")
        self._dial()

    def stop(self) -> Deferred[None]:
        """Hang up, and let it be. Fires when nothing is left; the owner hears no more.

        May be called again, and from inside any call of the owner's.
        """
        if self._stage is Stage.STOPPED:
            return succeed(None)
        self._quiet()
        socket = self._socket
        if socket is None:
            self._stage = Stage.STOPPED
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._stopped += (done,)
        if self._stage is not Stage.STOPPING:
            self._stage = Stage.STOPPING
            socket.close()
        return done

    def welcomed(self) -> None:
        """The server's welcome was good: the delays begin anew after the next failure."""
        # A server that welcomes everybody and cuts them off after their first words is no
        # reason to come back every second.
        if self._short_lives < SHORT_LIVES:
            self._failures = 0

    def retry_now(self) -> None:
        """Do not wait any longer, if waiting it is: something changed for the better."""
        if self._stage is Stage.PAUSING:
            self._quiet()
            self._dial()

    # What the dialer calls: Listener.

    def opened(self) -> None:
        """The connection is open."""
        if self._stage is Stage.DIALLING and self._socket is not None:
            self._stage = Stage.CONNECTED
            self._opened_at = self._now()
            self._timer = self._dialer.clock.callLater(WELCOME_TIME, self._mute)
            self._owner.connected(self._socket)

    def received(self, texts: Sequence[str]) -> None:
        """Messages came."""
        if self._stage is Stage.CONNECTED:
            self._quiet()
            self._owner.received(texts)

    def closed(self, reason: ConnectionEnded) -> None:
        """The connection is gone, or never came."""
        self._socket = None
        self._quiet()
        if self._stage is Stage.STOPPING:
            self._stage = Stage.STOPPED
            waiting, self._stopped = self._stopped, ()
            for done in waiting:
                done.callback(None)
            return
        was_connected = self._stage is Stage.CONNECTED
        if was_connected:
            self._judge(self._now() - self._opened_at)
        delay = self._next_delay()
        self._stage = Stage.PAUSING
        self._timer = self._dialer.clock.callLater(delay, self._dial)
        if was_connected:
            self._owner.disconnected(reason)
        else:
            self._owner.failed(reason, delay)

    # Inside.

    def _dial(self) -> None:
        self._timer = None
        self._stage = Stage.DIALLING
        self._socket = self._dialer.dial(self._url, self)

    def _mute(self) -> None:
        self._timer = None
        if self._socket is not None and self._socket.is_paused:
            # A welcome that waits for the journal is one.
            self._timer = self._dialer.clock.callLater(WELCOME_TIME, self._mute)
        elif self._socket is not None:
            self._socket.abort(f"no welcome from the server within {WELCOME_TIME:.0f} seconds")

    def _judge(self, lived: float) -> None:
        """Learn from the life of a connection, in seconds."""
        if lived < SHORT_LIFE:
            self._short_lives += 1
        else:
            self._short_lives = 0

    def _next_delay(self) -> float:
        """Seconds to wait: up to twice as long each time, and different for everybody."""
        ceiling = min(LONGEST_DELAY, 2 * SHORTEST_DELAY * 2 ** min(self._failures, 10))
        self._failures += 1
        return self._jitter.uniform(ceiling / 2, ceiling)

    def _quiet(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _now(self) -> float:
        return self._dialer.clock.seconds()
