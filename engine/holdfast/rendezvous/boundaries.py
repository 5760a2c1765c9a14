"""The interfaces around a connection: protocols and values, without logic."""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Protocol

from attrs import field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ClientFactory
from websockets.uri import WebSocketURI

from holdfast.clock import Clock as Clock
from holdfast.clock import Timer as Timer


class Fault(Enum):
    """What was wrong with a message that ended a connection, and would end the next one too."""

    TOO_LONG_FOR_THEM = auto()  # the server says that a message of ours is
    UNACCEPTABLE = auto()  # what the server sent could not be read, or was too long


@frozen
class ConnectionEnded:
    """Why a connection has ended.

    `reason` is one printable line. `clean` says that both ends closed it properly, so that
    nothing that either of them had sent was lost on the way. `fault` is what was wrong with a
    message, if that ended it. `cause` is the exception behind it, if there is one.
    """

    reason: str
    clean: bool
    fault: Fault | None = None
    cause: BaseException | None = field(default=None, eq=False, repr=False)


class Listener(Protocol):
    """Is told what happens to a connection, but never from inside one of its own calls."""

    def opened(self) -> None:
        """The connection is open: messages may be sent. Called at most once."""
        ...

    def received(self, texts: Sequence[str]) -> None:
        """Whole messages arrived: everything that one read brought, in order.

        Never called before `opened`, nor after closing or aborting has begun.
        """
        ...

    def closed(self, reason: ConnectionEnded) -> None:
        """The connection is gone, or could not be opened. Called exactly once, and last."""
        ...


class Attempt(Protocol):
    """The attempt to connect one socket, as the socket sees it."""

    def finished(self) -> None:
        """The attempt has ended, well or badly. Called once."""
        ...

    def cancel(self) -> None:
        """Give up: the transport is not needed any more. Called before `finished`, if at all."""
        ...


class Transport(Protocol):
    """What a connection needs of Twisted's transports, TCP and TLS alike."""

    def write(self, data: bytes) -> None:
        """Send, now or later."""
        ...

    def loseConnection(self) -> None:  # noqa: N802
        """Disconnect once everything is written."""
        ...

    def abortConnection(self) -> None:  # noqa: N802
        """Disconnect now."""
        ...

    def pauseProducing(self) -> None:
        """Stop reading."""
        ...

    def resumeProducing(self) -> None:
        """Read again, unless it is disconnecting."""
        ...

    def registerProducer(self, producer: object, streaming: bool) -> None:  # noqa: N802, FBT001 - Twisted's
        """Tell `producer` when enough, and when little, is waiting to be written."""
        ...

    def unregisterProducer(self) -> None:  # noqa: N802
        """Stop telling the producer."""
        ...


class Endpoint(Protocol):
    """Where to connect to a server."""

    def connect(self, factory: ClientFactory, /) -> Deferred[object]:
        """Connect to it, with the protocol that `factory` builds."""
        ...


class Endpoints(Protocol):
    """Finds the endpoint of a server."""

    def __call__(self, uri: WebSocketURI, /) -> Endpoint:
        """The endpoint of the server that `uri` names."""
        ...
