"""What is answered: `/metrics`, `/livez` and `/readyz`, in plain text, to GET and HEAD alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.protocols.policies import ThrottlingFactory
from twisted.python.failure import Failure
from twisted.web.http import (
    INTERNAL_SERVER_ERROR,
    NOT_ALLOWED,
    NOT_FOUND,
    OK,
    SERVICE_UNAVAILABLE,
)
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from holdfast.http_channel import GuardedChannel

if TYPE_CHECKING:
    from holdfast.operating.health import Health

MOST_CONNECTIONS: Final = 32
"""How many clients are answered at the same time."""

IDLE: Final = 30.0
"""Seconds after which a connection is closed on which nothing happens."""

LARGEST_BODY: Final = 16 * 1024
"""Bytes that a request may carry, though nothing reads them."""

TEXT: Final = "text/plain; charset=utf-8"

_log = Logger()


class _Request(Request):
    """A request whose body is dropped, instead of being kept in a file."""

    _body = 0

    def gotLength(self, length: int | None) -> None:  # noqa: ARG002, N802 - Twisted's
        """The request says how long its body is, which may be a lie."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's
        """A piece of it has come."""
        self._body += len(data)
        if self._body > LARGEST_BODY and self.channel is not None:
            self.channel.loseConnection()


Answer = Callable[[Request], "bytes | int"]


class _Pages(Resource):
    """All pages: Twisted's own way to find one makes error pages that it calls deprecated."""

    isLeaf = True  # noqa: N815 - Twisted's

    def __init__(self, answers: Mapping[bytes, Answer]) -> None:
        Resource.__init__(self)
        self._answers = answers

    def render(self, request: Request) -> bytes | int:
        """Answer, or say in words why not."""
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader("allow", "GET, HEAD")
            return _answer(request, "only GET and HEAD\n", status=NOT_ALLOWED)
        answer = self._answers.get(request.path)
        if answer is None:
            return _answer(request, "there is no such page\n", status=NOT_FOUND)
        return answer(request)


def _answer(request: Request, text: str, kind: str = TEXT, status: int = OK) -> bytes:
    request.setResponseCode(status)
    request.setHeader("content-type", kind)
    request.setHeader("cache-control", "no-store")
    request.setHeader("x-content-type-options", "nosniff")
    return text.encode()


def _probe(ask: Callable[[], str | None], request: Request) -> bytes:
    """Say whether all is well, by the status and in a line."""
    ails = ask()
    if ails is None:
        return _answer(request, "ok\n")
    return _answer(request, f"{ails}\n", status=SERVICE_UNAVAILABLE)


def _show(metrics: Callable[[], Deferred[str]], kind: str, request: Request) -> int:
    """Show the metrics once they are there."""
    gone: list[object] = []
    request.notifyFinish().addErrback(gone.append)

    def end(answer: bytes) -> None:
        if not gone:
            request.write(answer)
            request.finish()

    def failed(failure: Failure) -> None:
        _log.failure("The metrics could not be shown", failure)
        words = "the metrics cannot be shown; the log says why\n"
        end(_answer(request, words, status=INTERNAL_SERVER_ERROR))

    metrics().addCallback(lambda text: end(_answer(request, text, kind))).addErrback(failed)
    return NOT_DONE_YET


class _Site(Site):
    protocol: Any = GuardedChannel

    def __init__(self, root: Resource, reactor: Any) -> None:
        Site.__init__(self, root, requestFactory=_Request, timeout=IDLE, reactor=reactor)
        self.displayTracebacks = False


def site(reactor: Any, health: Health, metrics: Callable[[], Deferred[str]], kind: str) -> Any:
    """Return the web site.

    Args:
        reactor: Twisted's.
        health: whom the probes ask.
        metrics: returns a Deferred of the metrics as text.
        kind: the content type of that text.
    """
    answers: dict[bytes, Answer] = {
        b"/": lambda request: _answer(request, "/metrics\n/livez\n/readyz\n"),
        b"/livez": partial(_probe, health.unwell),
        b"/readyz": partial(_probe, health.unready),
        b"/metrics": partial(_show, metrics, kind),
    }
    root = _Pages(answers)
    return ThrottlingFactory(_Site(root, reactor), maxConnectionCount=MOST_CONNECTIONS)
