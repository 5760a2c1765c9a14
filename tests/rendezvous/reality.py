"""Real sockets on the loopback interface: strange servers, and ways to wait for things."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory, Protocol

from holdfast.rendezvous.boundaries import ConnectionEnded
from tests.rendezvous.line import Ear


class Stranger(Protocol):
    """A server that accepts, keeps what it hears, and never speaks."""

    def __init__(self) -> None:
        self.heard = b""
        self.gone: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        if b"\r\n\r\n" in self.heard:
            self.asked()

    def asked(self) -> None:
        """The whole request is there."""

    def connectionLost(self, reason: object) -> None:
        self.gone.callback(None)


@define(eq=False)
class Waiter(Ear):
    """A listener that can be waited for."""

    opening: Deferred[None] = field(factory=Deferred)
    ending: Deferred[ConnectionEnded] = field(factory=Deferred)
    messages: list[str] = field(factory=list)
    _wanted: tuple[int, Deferred[None]] | None = None

    def opened(self) -> None:
        super().opened()
        self.opening.callback(None)

    def received(self, texts: Sequence[str]) -> None:
        super().received(texts)
        self.messages.extend(texts)
        if self._wanted is not None and len(self.messages) >= self._wanted[0]:
            wanted, self._wanted = self._wanted[1], None
            wanted.callback(None)

    def closed(self, reason: ConnectionEnded) -> None:
        super().closed(reason)
        self.ending.callback(reason)

    def until_messages(self, count: int) -> Deferred[None]:
        """Fires once *count* messages have come."""
        waiting: Deferred[None] = Deferred()
        if len(self.messages) >= count:
            waiting.callback(None)
        else:
            self._wanted = (count, waiting)
        return waiting


@asynccontextmanager
async def listening(
    build: Callable[[], Protocol], *, interface: str = "127.0.0.1", tls: Any = None
) -> AsyncIterator[tuple[int, list[Any]]]:
    """A server whose connections are served by what *build* makes; its port, and those.

    Gone, connections included, when the block ends.
    """
    served: list[Any] = []

    class Builder(Factory):
        noisy = False

        def buildProtocol(self, _: object) -> Protocol:
            served.append(build())
            return served[-1]

    if tls is None:
        port = reactor.listenTCP(0, Builder(), interface=interface)
    else:
        port = reactor.listenSSL(0, Builder(), tls, interface=interface)
    try:
        yield port.getHost().port, served
    finally:
        await maybeDeferred(port.stopListening)
        for protocol in served:
            if protocol.transport is not None and not protocol.gone.called:
                protocol.transport.abortConnection()
                await protocol.gone


def url(port: int, host: str = "127.0.0.1", scheme: str = "ws") -> str:
    return f"{scheme}://{host}:{port}/v1"
