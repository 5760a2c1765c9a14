"""Who talks to whom about a connection: protocols and values, no logic."""

from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Protocol

from attrs import field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ClientFactory
from websockets.uri import WebSocketURI


class Fault(Enum):
    """What about a message ended a connection, and would end the next one too."""

    TOO_LONG_FOR_THEM = auto()  # the server says that a message of ours is
    UNACCEPTABLE = auto()  # what the server sent could not be read, or was too long


@frozen
class ConnectionEnded:
    """Why a connection is no more.

    `reason` is one printable line. `clean` says that both ends said good-bye, so that
    nothing either of them sent before was lost on the way. `fault` is what was wrong with a
    message, if that was the end. `cause` is the exception behind it, where there is one.
    """

    reason: str
    clean: bool
    fault: Fault | None = None
    cause: BaseException | None = field(default=None, eq=False, repr=False)


class Listener(Protocol):
    """Who is told what happens to a connection; never from inside a call of its own."""

    def opened(self) -> None:
        """The connection is there: messages may be sent. Called once at most."""
        ...

    def received(self, texts: Sequence[str]) -> None:
        """Whole messages came, all that one read brought, in order.

        Never before `opened`, nor once closing or aborting began.
        """
        ...

    def closed(self, reason: ConnectionEnded) -> None:
        """The connection is gone, or never came. Called exactly once, and last."""
        ...


class Attempt(Protocol):
    """The dialling of one socket, as the socket sees it."""

    def settled(self) -> None:
        """It has come to an end, good or bad. Called once."""
        ...

    def cancel(self) -> None:
        """Give up: no transport is wanted any more. Called before `settled`, if at all."""
        ...


class Transport(Protocol):
    """What a connection needs of Twisted's transports, TCP and TLS alike."""

    def write(self, data: bytes) -> None:
        """Send, some time."""
        ...

    def loseConnection(self) -> None:  # noqa: N802
        """Disconnect once everything is written."""
        ...

    def abortConnection(self) -> None:  # noqa: N802
        """Disconnect now."""
        ...

    def pauseProducing(self) -> None:
        """Read no more."""
        ...

    def resumeProducing(self) -> None:
        """Read again, unless it is disconnecting."""
        ...

    def registerProducer(self, producer: object, streaming: bool) -> None:  # noqa: N802
        """Tell `producer` when enough, and when little, is waiting to be written."""
        ...

    def unregisterProducer(self) -> None:  # noqa: N802
        """Tell it no more."""
        ...


class Timer(Protocol):
    """A call that will be made."""

    def active(self) -> bool:
        """Whether it is still to come."""
        ...

    def cancel(self) -> None:
        """Let it not come. An error when it is not active."""
        ...


class Clock(Protocol):
    """Time, as a reactor has it and as Twisted's `Clock` pretends."""

    def seconds(self) -> float:
        """Now."""
        ...

    def callLater(  # noqa: N802
        self, delay: float, callable: Callable[..., object], /, *args: object
    ) -> Timer:
        """Call it after `delay` seconds."""
        ...


class Endpoint(Protocol):
    """Where a server is."""

    def connect(self, factory: ClientFactory, /) -> Deferred[object]:
        """Connect to it, with the protocol that `factory` builds."""
        ...


class Endpoints(Protocol):
    """What knows where servers are."""

    def __call__(self, uri: WebSocketURI, /) -> Endpoint:
        """The endpoint of the server that `uri` names."""
        ...
