"""The way of a request: let in, checked, answered by a page in a thread, and sent.

1. `wire.GuardedRequest` sets the headers of every answer, and refuses foreign hosts.
2. klein finds the page, and `Console` who asks (`gate`), whether they may, and whether a page of
   ours made the request.
3. The page's function runs in one of a few threads, because the journal's methods block.
4. What it returns or raises is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs

from attrs import define, field
from klein import Klein
from twisted.internet.defer import CancelledError
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool
from werkzeug.exceptions import HTTPException

from holdfast.console.answers import Answer, Wrong, as_json, redirect
from holdfast.console.asked import Asked
from holdfast.console.desk import Desk
from holdfast.console.gate import Gate
from holdfast.console.page import Page, Stream
from holdfast.console.trouble import as_wrong
from holdfast.console.viewers import Role, Viewer
from holdfast.console.wire import GuardedRequest

THREADS: Final = 8
"""How many pages are made at the same time: SQLite and servers have little use for more."""

MOST_WAITING: Final = 100
"""How many requests may wait for a thread; further ones are told to come again."""

MOST_FIELDS: Final = 5000
"""Fields of an address or a form."""

HEADERS: Final = ("accept", "hx-request", "idempotency-key", "last-event-id", "origin", "host")
"""The headers that pages see."""

_WORDS: Final = {404: "There is nothing here.", 405: "This cannot be used like that."}

_log = Logger()


@define(eq=False)
class Console:
    """Brings requests to pages, and answers to clients.

    Args:
        desk: what pages work with.
        gate: who is let in.
        pool: the threads in which pages run.
        reactor: Twisted's.
    """

    desk: Desk
    gate: Gate
    pool: ThreadPool
    reactor: Any
    app: Klein = field(factory=Klein)
    _waiting: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.app.handle_errors(HTTPException)(self._no_such_page)

    def add(self, pages: Sequence[Page | Stream]) -> None:
        """Let these pages be asked for."""
        for page in pages:
            serve = self._stream(page) if isinstance(page, Stream) else self._page(page)
            method = "GET" if isinstance(page, Stream) else page.method
            self.app.route(page.path, methods=[method], endpoint=f"{method} {page.path}")(serve)

    def _page(self, page: Page) -> Callable[..., Any]:
        async def serve(request: GuardedRequest, **args: str) -> bytes:
            try:
                # Pages that load themselves again are no sign that somebody is there.
                acts = page.method != "GET" or request.header("x-moved") is None
                viewer = self._let_in(request, page.role, acts=acts)
                asked = asked_of(request, args, viewer)
                if page.method != "GET":
                    shown = request.header("x-csrf-token") or asked.filled("csrf")
                    self.gate.check_post(request, viewer, shown)
                token = self.gate.token_of(request)
                answer = await self.in_thread(self._answer, page, asked, token)
            except Wrong as wrong:
                answer = self.wrong(request, wrong)
            return send(request, answer)

        return serve

    def _stream(self, stream: Stream) -> Callable[..., Any]:
        async def serve(request: GuardedRequest, **args: str) -> bytes:
            try:
                viewer = self._let_in(request, stream.role, acts=False)
                asked = asked_of(request, args, viewer)
                await self.in_thread(self._check_token, self.gate.token_of(request))
                await stream.handler(asked, self, request)
            except Wrong as wrong:
                # No redirect to the login: a script would follow it, again and again.
                return send(request, Answer(wrong.words.encode(), wrong.status, "text/plain"))
            return b""

        return serve

    def _let_in(self, request: GuardedRequest, role: Role, *, acts: bool = True) -> Viewer:
        viewer = self.gate.viewer(request, acts=acts)
        if viewer is None:
            raise Wrong(401, "Log in first.")
        if not viewer.may(role):
            raise Wrong(403, f"This needs the role {role.word}; you are {viewer.role.word}.")
        return viewer

    def _answer(self, page: Page, asked: Asked, token: str | None) -> Answer:
        """Have the page answer; in a thread."""
        self._check_token(token)
        return page.handler(asked, self.desk)

    def _check_token(self, token: str | None) -> None:
        if token is not None and not self.desk.journal.tokens.is_good(token):
            raise Wrong(401, "Your token was revoked, or has expired.")

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run something that blocks. Raises Wrong, whatever it raised."""
        if self._waiting >= MOST_WAITING:
            raise Wrong(503, "Too much is asked at once.", headers=[("Retry-After", "1")])
        self._waiting += 1
        try:
            return await deferToThreadPool(self.reactor, self.pool, function, *args)
        except CancelledError:  # the client has gone
            raise
        except Exception as error:  # noqa: BLE001 - pages may raise anything
            raise as_wrong(error, _log) from None
        finally:
            self._waiting -= 1

    def wrong(self, request: GuardedRequest, wrong: Wrong) -> Answer:
        """Answer in words: why not."""
        if wrong.status == 401 and request.method in (b"GET", b"HEAD"):
            return redirect("/login")
        viewer = self.gate.viewer(request) or Viewer("", Role.VIEWER, "", "page")
        asked = asked_of(request, {}, viewer, with_form=False)
        menu = self.desk.menu if viewer.name else ()
        answer = self.desk.page(
            asked, "wrong.html", status=wrong.status, words=wrong.words, menu=menu
        )
        return Answer(answer.body, answer.status, headers=wrong.headers)

    def _no_such_page(self, request: GuardedRequest, failure: Any) -> bytes:
        status = failure.value.code or 404
        words = _WORDS.get(status, "No.")
        if request.path.startswith(b"/api/"):
            return send(request, as_json({"error": words}, status))
        return send(request, self.wrong(request, Wrong(status, words)))


def asked_of(
    request: GuardedRequest, args: Mapping[str, str], viewer: Viewer, *, with_form: bool = True
) -> Asked:
    """Return what a request asks. Raises Wrong."""
    search = request.uri.partition(b"?")[2].decode("ascii", "replace")
    try:
        query = parse_qs(search, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Wrong(400, "There is too much in this address.") from None
    form = {}
    if with_form and request.method == b"POST":
        sent = request.args or {}
        form = {name.decode("utf-8", "replace"): values for name, values in sent.items()}
    return Asked(
        path=request.path.decode("ascii", "replace"),
        search=search,
        args=args,
        query=query,
        form=form,
        body=b"",
        headers=request.headers_of(HEADERS),
        viewer=viewer,
    )


def send(request: GuardedRequest, answer: Answer) -> bytes:
    """Set the status and headers of an answer; return its body, which klein sends."""
    request.setResponseCode(answer.status)
    request.say("Content-Type", answer.kind)
    for name, value in answer.headers:
        request.say(name, value)
    request.say("Content-Length", str(len(answer.body)))
    return answer.body
