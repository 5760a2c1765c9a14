"""One socket, from its first byte to the end of the handshake, and then for whoever takes it over.

It carries out what a handshake asks for (`holdfast.transit.handshake`), and keeps its deadlines.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Literal, Protocol, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IAddress, ITCPTransport
from twisted.internet.protocol import Factory
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure

from holdfast.transit.handshake import Effects, Handshake, Lost, Paired, Pause, Ready, Send, Won
from holdfast.transit.network import Clock, Timer
from holdfast.transit.wire import keep_alive

HANDSHAKE_TIME: Final = 60.0
"""Seconds that the other side has for its part of a handshake. At a relay, waiting for the other
side is not part of it."""

AFTER_OK: Final = 0.1
"""Seconds between a relay's `ok` and our choice.

One stock sender closes its connection in three of ten transfers if a receiver's line, which is its
choice, follows at once."""


Way: TypeAlias = Literal["in", "out", "relay"]
"""How a socket came about: the other side connected, or we did, to it or to a relay."""


class AttemptOwner(Protocol):
    """Is told how an attempt goes."""

    def is_open(self, attempt: Attempt) -> None:
        """Its socket is open, and it has begun. Once."""
        ...

    def is_ready(self, attempt: Attempt) -> None:
        """It may be chosen. At most once."""
        ...

    def has_won(self, attempt: Attempt) -> None:
        """Both sides have chosen it. At most once; after that only `is_down` follows."""
        ...

    def has_failed(self, attempt: Attempt) -> None:
        """It is of no use, for its `reason`. At most once, and not after `has_won`."""
        ...

    def is_down(self, attempt: Attempt) -> None:
        """Its socket is closed. Once, and last."""
        ...


class Attempt(TwistedProtocol):
    """One socket that may become the connection.

    Args:
        owner: is told how it goes.
        handshake: what is to be said on it.
        clock: the time.
        describe: where it leads, in a few words.
        way: how the socket comes about.
    """

    transport: Any

    def __init__(
        self, owner: AttemptOwner, handshake: Handshake, clock: Clock, describe: str, way: Way
    ) -> None:
        self.describe = describe
        self.way = way
        self.reason: str | None = None
        """Why it failed; None if it did not."""
        self.is_proved = False
        """Whether the other side has shown that it has the key."""
        self.leftover = b""
        """What came after the handshake, until somebody takes it over."""
        self._owner = owner
        self.handshake = handshake
        self._clock = clock
        self._paired_at: float | None = None
        self._timer: Timer | None = None
        self._heir: TwistedProtocol | None = None
        self._has_won = False
        self._lost: Failure | None = None
        self.down: Deferred[None] = Deferred()
        """Fires when the socket is closed."""

    def connectionMade(self) -> None:
        """Begin."""
        transport = self.transport
        if ITCPTransport.providedBy(transport):
            with suppress(OSError):  # some systems refuse options if the other side is gone again
                transport.setTcpNoDelay(True)
                keep_alive(transport.getHandle())
        if self.way != "relay":
            self._limit(HANDSHAKE_TIME)
        self._carry_out(self.handshake.begin())
        self._owner.is_open(self)

    def dataReceived(self, data: bytes) -> None:
        """Let the handshake, or who took over, have it."""
        if self._heir is not None:
            self._heir.dataReceived(data)
        elif self._has_won:  # a transport may not stop at once
            self.leftover += data
        elif self.reason is None:
            self._carry_out(self.handshake.hear(data))

    def connectionLost(self, reason: Failure | None = None) -> None:
        """It is over."""
        lost = self._lost = reason or Failure(ConnectionLost())
        if self._heir is not None:
            self._heir.connectionLost(lost)
        else:
            self._fail("the other side closed the connection")
        self._owner.is_down(self)
        self.down.callback(None)

    def choose(self) -> None:
        """Use this one; behind a relay, a moment later."""
        wait = 0.0
        if self._paired_at is not None:
            wait = self._paired_at + AFTER_OK - self._clock.seconds()
        self._stop_timer()
        if wait > 0:
            self._timer = self._clock.callLater(wait, self._choose)
        else:
            self._choose()

    def reject(self) -> None:
        """Do not use this one."""
        if self.reason is None:
            self._carry_out(self.handshake.reject())

    def take_over(self, heir: TwistedProtocol) -> None:
        """Let `heir` have what has come, what will come, and the end."""
        self._heir = heir
        leftover, self.leftover = self.leftover, b""
        heir.makeConnection(self.transport)
        if self._lost is None:
            self.transport.resumeProducing()  # first: `heir` may want a pause at once
        if leftover:
            heir.dataReceived(leftover)
        if self._lost is not None:
            heir.connectionLost(self._lost)

    def _choose(self) -> None:
        self._limit(HANDSHAKE_TIME)
        self._carry_out(self.handshake.choose())

    def _carry_out(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Send(data):
                    self.transport.write(data)
                case Paired():
                    self._paired_at = self._clock.seconds()
                    self._limit(HANDSHAKE_TIME)
                case Ready():
                    self._stop_timer()  # it is our turn, and a user may have to be asked
                    self.is_proved = True
                    self._owner.is_ready(self)
                case Pause():
                    self.transport.pauseProducing()
                case Won(leftover):
                    self._stop_timer()
                    self._has_won = True
                    self.leftover = leftover
                    self.transport.pauseProducing()
                    self._owner.has_won(self)
                case Lost(reason):
                    self._close(reason)

    def _limit(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self._clock.callLater(seconds, self._close, "the other side was silent")

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _close(self, reason: str) -> None:
        self.transport.loseConnection()
        self._fail(reason)

    def _fail(self, reason: str) -> None:
        self._stop_timer()
        if self.reason is None and not self._has_won:
            self.reason = reason
            self._owner.has_failed(self)


class MadeBy(Factory):
    """What Twisted wants for each connection: here a function that makes its attempt, or None."""

    noisy = False

    def __init__(self, make: Callable[[IAddress | None], Attempt | None]) -> None:
        self._make = make

    def buildProtocol(self, addr: IAddress | None) -> Attempt | None:
        """The attempt of a new connection."""
        return self._make(addr)
