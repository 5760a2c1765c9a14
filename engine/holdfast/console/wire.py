"""Twisted's request, with what is true of every answer, and a bound on what may be sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from twisted.web.http import BAD_REQUEST, REQUEST_ENTITY_TOO_LARGE
from twisted.web.server import Request, Site

from holdfast.console.guarding import HEADERS, is_our_host
from holdfast.http_channel import GuardedChannel

LARGEST_BODY: Final = 16 * 1024 * 1024
"""Bytes that a form may have, with a file of people in it."""

IDLE: Final = 60.0
"""Seconds after which a connection is closed on which nothing happens."""

MISDIRECTED: Final = 421


class GuardedRequest(Request):
    """A request to us: it is answered only if it means our host, and is not too large."""

    too_large = False
    _received = 0

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's
        """Keep no body that is known to be too large."""
        self.too_large = length is not None and length > LARGEST_BODY
        Request.gotLength(self, 0 if self.too_large else length)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's
        """Keep what was sent, up to the bound; then cut the connection of who sends for ever."""
        self._received += len(data)
        self.too_large = self.too_large or self._received > LARGEST_BODY
        if not self.too_large:
            Request.handleContentChunk(self, data)
        elif self._received > 2 * LARGEST_BODY and self.channel is not None:
            transport: Any = self.channel.transport
            transport.abortConnection()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802
        """Take it for a form only if it says so in plain words: Twisted fails at others."""
        said = b" ".join(self.requestHeaders.getRawHeaders(b"content-type") or ())
        if not (said.isascii() and said.decode("ascii").isprintable()):
            self.requestHeaders.removeHeader(b"content-type")
        Request.requestReceived(self, command, path, version)

    def process(self) -> None:
        """Answer it, or say at once why not."""
        site = getattr(self.channel, "site", None)
        if not isinstance(site, GuardedSite):
            raise TypeError("only a GuardedSite makes these requests")
        for name, value in HEADERS.items():
            self.say(name, value)
        if site.secure:
            self.say("Strict-Transport-Security", "max-age=31536000")
        host = self.header("host") or ""
        if not is_our_host(host, site.hosts):
            self.refuse(MISDIRECTED, "This is not the address of this console; see --host.")
        elif self.too_large:
            self.refuse(REQUEST_ENTITY_TOO_LARGE, "This is too large.")
        elif not self.path.isascii():
            self.refuse(BAD_REQUEST, "This is not an address.")
        else:
            Request.process(self)

    def header(self, name: str) -> str | None:
        """Return a header as text; of several, the last one."""
        found = self.requestHeaders.getRawHeaders(name.encode())
        return found[-1].decode("utf-8", "replace")[:4000] if found else None

    def headers_of(self, names: Collection[str]) -> Mapping[str, str]:
        """Return those of these headers that were sent."""
        return {name: found for name in names if (found := self.header(name)) is not None}

    def say(self, name: str, value: str) -> None:
        """Set a header of the answer."""
        Request.setHeader(self, name, value)

    def cookie(self, name: str) -> str:
        """Return a cookie, or an empty text."""
        return (Request.getCookie(self, name.encode()) or b"").decode("ascii", "replace")

    def address(self) -> str:
        """Return the address that the request came from."""
        return str(getattr(Request.getClientAddress(self), "host", "local"))

    def begin_stream(self, producer: object) -> None:
        """Let a push producer hear whether the client takes what is sent."""
        Request.registerProducer(self, producer, True)  # noqa: FBT003 - Twisted's

    def send_some(self, data: bytes) -> None:
        """Send some of a stream."""
        Request.write(self, data)

    def end_stream(self) -> None:
        """Tell the producer no more."""
        if self.channel is not None:  # the client is there
            Request.unregisterProducer(self)

    def refuse(self, status: int, words: str) -> None:
        """Answer with a line of plain text."""
        self.setResponseCode(status)
        self.say("Content-Type", "text/plain; charset=utf-8")
        body = words.encode() + b"\n"
        self.say("Content-Length", str(len(body)))
        Request.write(self, body)
        Request.finish(self)


class GuardedSite(Site):
    """The web site.

    Args:
        resource: what answers.
        reactor: Twisted's.
        hosts: the names that `is_our_host` takes.
        secure: whether browsers reach us by TLS.
    """

    protocol: Any = GuardedChannel

    def __init__(
        self, resource: object, reactor: object, hosts: Collection[str], *, secure: bool
    ) -> None:
        Site.__init__(self, resource, requestFactory=GuardedRequest, timeout=IDLE, reactor=reactor)
        self.displayTracebacks = False
        self.hosts = hosts
        self.secure = secure

    def log(self, request: object) -> None:
        """Log no requests: addresses of flows are in them."""
