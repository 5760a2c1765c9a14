"""A signed POST over Twisted's own web client: bounded, in time, and without redirects."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.client import Agent, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from websockets.uri import WebSocketURI
from zope.interface import implementer  # type: ignore[import-untyped]

from holdfast.errors import WormholeError
from holdfast.flows.shipped.signing import check_url, secrets_in, signed
from holdfast.flows.tasks import TaskFailed
from holdfast.rendezvous import reasons
from holdfast.rendezvous.dialer import NamedServers
from holdfast.version import VERSION

ENDS_WITHIN: Final = 5.0
"""Seconds that a receiver has for the rest of its answer."""

LONGEST_ANSWER: Final = 65_536
"""Bytes of an answer that are read, with its head."""

_GONE: Final = 410


@inlineCallbacks
def post(reactor: Any, url: str, body: bytes, key: str) -> Any:
    """Post `body`, signed, and see that the receiver says 2xx. Redirects are not followed.

    Raises:
        TaskFailed: it does not, or there is no secret.
    """
    try:
        secrets = secrets_in(os.environ)
        check_url(url)
    except WormholeError as error:
        raise TaskFailed(str(error)) from None
    headers = {
        **signed(secrets, key, int(time.time()), body),
        "content-type": "application/json",
        "user-agent": f"holdfast/{VERSION}",
    }
    endpoints = _Endpoints(reactor)
    agent = Agent.usingEndpointFactory(reactor, endpoints)
    try:
        response = yield agent.request(
            b"POST",
            url.encode("ascii"),
            Headers({name: [value] for name, value in headers.items()}),
            _Body(body),
        )
        yield _read_the_rest(response, reactor)
    except CancelledError:
        raise
    except Exception:  # noqa: BLE001 - of the network, TLS or a resolver: it is reported
        raise TaskFailed(_why(Failure())) from None
    finally:
        endpoints.cut()
    if response.code == _GONE:
        raise TaskFailed("the receiver says 410: it wants no more of these", final=True)
    if not 200 <= response.code < 300:
        raise TaskFailed(f"the receiver says {response.code}")


def _read_the_rest(response: Any, reactor: Any) -> Deferred[object]:
    """Let the receiver finish. What it says does not matter, nor whether it comes to an end."""
    rest = _Rest()
    response.deliverBody(rest)
    return rest.over.addTimeout(ENDS_WITHIN, reactor, lambda *_: None)


def _why(failure: Failure) -> str:
    """Say why there is no answer."""
    if not isinstance(failure.value, ResponseFailed):
        return reasons.of_failure(failure)
    inside = failure.value.reasons[-1]
    if inside.check(ConnectionDone, ConnectionLost):
        return reasons.of_failure(inside)
    return "the answer is not HTTP"


class _Rest(Protocol):
    """Reads what is not needed."""

    def __init__(self) -> None:
        self.over: Deferred[None] = Deferred()

    def connectionLost(self, reason: object = None) -> None:
        """That was all."""
        if not self.over.called:
            self.over.callback(None)


@implementer(IBodyProducer)
@define(eq=False)
class _Body:
    """A body that is there already; Twisted has none of its own."""

    _body: bytes

    @property
    def length(self) -> int:
        """How many bytes it has."""
        return len(self._body)

    def startProducing(self, consumer: Any) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """Write all of it."""
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Nothing is left to pause."""

    def resumeProducing(self) -> None:
        """Nothing was paused."""

    def stopProducing(self) -> None:
        """Nothing is left to stop."""


class _Connection(ProtocolWrapper):
    """One connection, which is cut once the answer is too long or lasts too long."""

    _left = LONGEST_ANSWER

    def dataReceived(self, data: bytes) -> None:
        """Pass it on, or cut."""
        self._left -= len(data)
        if self._left < 0:
            self.abortConnection()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]


@implementer(IStreamClientEndpoint)
@define(eq=False)
class _Endpoint:
    """Makes such connections."""

    _inner: Any
    _made: list[_Connection]

    def connect(self, factory: Any) -> Deferred[Any]:
        """Connect, and return the protocol of `factory` and not the one around it."""
        wrapping = WrappingFactory(factory)
        wrapping.protocol = _Connection
        connecting: Deferred[Any] = self._inner.connect(wrapping)
        return connecting.addCallback(self._connected)

    def _connected(self, connection: _Connection) -> Any:
        self._made.append(connection)
        return connection.wrappedProtocol


@implementer(IAgentEndpointFactory)
@define(eq=False)
class _Endpoints:
    """Which endpoint a URL leads to."""

    _reactor: Any
    _made: list[_Connection] = field(factory=list, init=False)

    def cut(self) -> None:
        """Leave no connection open, whatever the receiver does."""
        for connection in self._made:
            connection.abortConnection()

    def endpointForURI(self, uri: Any) -> Any:  # noqa: N802 - Twisted's name
        """Return it; certificates are checked as browsers do."""
        host, secure = uri.host.decode("ascii"), uri.scheme == b"https"
        return _Endpoint(
            _servers(self._reactor)(WebSocketURI(secure, host, uri.port, "", "")), self._made
        )


@lru_cache(1)
def _servers(reactor: Any) -> NamedServers:
    """What finds them, and keeps for each the certificates that are trusted, which are many."""
    return NamedServers(reactor)
