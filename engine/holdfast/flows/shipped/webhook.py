"""A signed POST, as the "Standard Webhooks" specification (standardwebhooks.com) has it.

Its receivers can use that specification's libraries, which exist in many languages. `webhook-id`
is the idempotency key, and is the same at every try; `webhook-timestamp` is the time of this try;
`webhook-signature` has an HMAC-SHA256 of id, timestamp and body for each secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import time
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import define
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks, succeed
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import optionsForClientTLS
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.client import Agent, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer  # type: ignore[import-untyped]

from holdfast.errors import WormholeError
from holdfast.flows.tasks import TaskFailed
from holdfast.version import VERSION

SECRET_VARIABLE: Final = "HOLDFAST_HOOK_SECRET"  # noqa: S105 - the name of it
FILE_VARIABLE: Final = "HOLDFAST_HOOK_SECRET_FILE"

SHORTEST_SECRET: Final = 16
"""Bytes."""

LONGEST_ANSWER: Final = 65_536
"""Bytes of an answer that are read, with its head."""

CONNECTS_WITHIN: Final = 15.0
"""Seconds."""

_PREFIX: Final = "whsec_"
"""The specification's mark of a secret in base64."""

_GONE: Final = 410


class BadHookSecret(WormholeError):
    """There is no secret to sign with, or it cannot be used."""


class BadHookUrl(WormholeError):
    """It is not the URL of a webhook."""


def secrets_in(environ: Mapping[str, str]) -> Sequence[bytes]:
    """Return the secrets to sign with: one, or two while a receiver changes from one to the other.

    Raises:
        BadHookSecret: there is none, or it cannot be used.
    """
    text, source = environ.get(SECRET_VARIABLE, ""), SECRET_VARIABLE
    path = environ.get(FILE_VARIABLE, "")
    if not text.strip() and path:
        source = FILE_VARIABLE
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise BadHookSecret(f"{FILE_VARIABLE}: {path} cannot be read: {why}") from None
    if not text.strip():
        raise BadHookSecret(
            f"a webhook is signed, and there is no secret for that: set {SECRET_VARIABLE}, or"
            f" {FILE_VARIABLE} to the path of a file that holds it"
        )
    found = [_secret(word, source) for word in text.split()]
    if any(len(each) < SHORTEST_SECRET for each in found):
        raise BadHookSecret(f"{source}: a secret has at least {SHORTEST_SECRET} characters")
    return found


def _secret(word: str, source: str) -> bytes:
    if not word.startswith(_PREFIX):
        return word.encode()
    try:
        return base64.b64decode(word.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise BadHookSecret(f"{source}: what follows {_PREFIX} is not base64") from None


def check_url(url: str) -> None:
    """See that it is `https:`, or `http:` to this very machine.

    Raises:
        BadHookUrl: it is neither.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        url.encode("ascii")
    except ValueError:
        raise BadHookUrl("it is not a URL") from None
    if parts.scheme not in ("https", "http") or not host:
        raise BadHookUrl("it is not an https: URL")
    if not all("!" <= each <= "~" for each in url):
        raise BadHookUrl("there is a blank in it")
    if parts.username is not None or parts.password is not None:
        raise BadHookUrl("it must not hold a user name or a password; the signature says who asks")
    if parts.scheme == "http" and not _is_loopback(host):
        raise BadHookUrl("http: is for receivers on this machine (127.0.0.1); use https:")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def signed(secrets: Sequence[bytes], key: str, at: int, body: bytes) -> dict[str, str]:
    """Return the headers that say who has sent `body`, for the first or a later time.

    Args:
        secrets: any of which the receiver may know.
        key: the idempotency key.
        at: seconds since the epoch, now.
        body: what is sent.
    """
    content = f"{key}.{at}.".encode() + body
    boxes = [base64.b64encode(hmac.digest(each, content, hashlib.sha256)) for each in secrets]
    return {
        "webhook-id": key,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{box.decode()}" for box in boxes),
    }


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
    agent = Agent.usingEndpointFactory(reactor, _Endpoints(reactor))
    try:
        response = yield agent.request(
            b"POST",
            url.encode("ascii"),
            Headers({name: [value] for name, value in headers.items()}),
            _Body(body),
        )
        yield _read_to_its_end(response)
    except CancelledError:
        raise
    except ResponseFailed as error:
        raise TaskFailed(f"the receiver does not answer as HTTP does: {_why(error)}") from None
    except Exception as error:  # noqa: BLE001 - of the network, TLS or a resolver: it is reported
        raise TaskFailed(f"the receiver cannot be reached: {_why(error)}") from None
    if response.code == _GONE:
        raise TaskFailed("the receiver says 410: it wants no more of these", final=True)
    if not 200 <= response.code < 300:
        raise TaskFailed(f"the receiver says {response.code}")


def _read_to_its_end(response: Any) -> Deferred[None]:
    """Let the receiver say the rest. What it is does not matter, nor whether it is cut off."""
    rest = _Rest()
    response.deliverBody(rest)
    return rest.over


def _why(error: Exception) -> str:
    """Return the kind of an error, or of what is inside it: its words may be a stranger's."""
    reasons = getattr(error, "reasons", None)
    if reasons:
        return str(reasons[-1].type.__name__)
    return str(getattr(error, "osError", None) or type(error).__name__)


class _Rest(Protocol):
    """Reads what is not needed."""

    def __init__(self) -> None:
        self.over: Deferred[None] = Deferred()

    def connectionLost(self, reason: object = None) -> None:
        """That was all."""
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

    def connect(self, factory: Any) -> Deferred[Any]:
        """Connect, and return the protocol of `factory` and not the one around it."""
        wrapping = WrappingFactory(factory)
        wrapping.protocol = _Connection
        made: Deferred[Any] = self._inner.connect(wrapping)
        return made.addCallback(lambda connection: connection.wrappedProtocol)


@implementer(IAgentEndpointFactory)
@define(eq=False)
class _Endpoints:
    """Which endpoint a URL leads to."""

    _reactor: Any

    def endpointForURI(self, uri: Any) -> Any:  # noqa: N802 - Twisted's name
        """Return it; certificates are checked as browsers do."""
        host = uri.host.decode("ascii")
        endpoint: Any = HostnameEndpoint(self._reactor, host, uri.port, timeout=CONNECTS_WITHIN)
        if uri.scheme == b"https":
            endpoint = wrapClientTLS(optionsForClientTLS(host), endpoint)
        return _Endpoint(endpoint)
