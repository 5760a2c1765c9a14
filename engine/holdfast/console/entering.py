"""Logging in and out: the only pages that work in the reactor's thread and without a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import define

from holdfast.console.answers import Answer, Wrong, redirect
from holdfast.console.gate import Gate
from holdfast.console.guarding import cookie_header
from holdfast.console.rates import Rates
from holdfast.console.site import Console, asked_of, send
from holdfast.console.viewers import Role, Viewer
from holdfast_journal import Actor

if TYPE_CHECKING:
    from holdfast.console.wire import GuardedRequest
    from holdfast_journal import Token

AFTERWARDS: Final = "/"


@define(eq=False)
class Entering:
    """The pages `/login` and `/logout`.

    Args:
        console: where they are added.
        wrong: how often an address may show a wrong key or token.
        secure: whether cookies are for TLS only.
    """

    console: Console
    wrong: Rates
    secure: bool

    def add(self) -> None:
        """Let them be asked for."""
        route = self.console.app.route
        route("/login", methods=["GET"], endpoint="GET /login")(self.show)
        route("/login", methods=["POST"], endpoint="POST /login")(self.come_in)
        route("/logout", methods=["POST"], endpoint="POST /logout")(self.leave)

    @property
    def _gate(self) -> Gate:
        return self.console.gate

    async def show(self, request: GuardedRequest) -> bytes:
        """Show the form for a token; or, with a one-time key in the address, let somebody in."""
        asked = asked_of(request, {}, self._nobody(request))
        key = asked.one("key")
        if not key:
            return send(request, self._form(request, "", 200))
        try:
            self._check_rate(request)
        except Wrong as wrong:
            return send(request, self._form(request, wrong.words, wrong.status))
        cookie = self._gate.sessions.redeem(key)
        if cookie is None:
            self.wrong.take(self._gate.origin(request))
            return send(request, self._form(request, "This address was used, or is too old.", 403))
        session = self._gate.sessions.find(cookie)
        name = "" if session is None else session.name
        return await self._enter(request, cookie, name, "by the one-time address")

    async def come_in(self, request: GuardedRequest) -> bytes:
        """Let somebody in who shows a token."""
        try:
            self._gate.check_origin(request)
            self._check_rate(request)
            shown = asked_of(request, {}, self._nobody(request)).filled("token").strip()
            tokens = self.console.desk.journal.tokens
            found: Token | None = await self.console.in_thread(tokens.find, shown)
        except Wrong as wrong:
            return send(request, self._form(request, wrong.words, wrong.status))
        if found is None:
            self.wrong.take(self._gate.origin(request))
            return send(request, self._form(request, "This is not a token, or not any more.", 403))
        cookie = self._gate.sessions.begin(found.name, Role.of(found.role), found.name)
        return await self._enter(request, cookie, found.name, "by a token")

    async def _enter(self, request: GuardedRequest, cookie: str, name: str, how: str) -> bytes:
        actor = Actor(name, self._gate.origin(request), "page")
        try:
            note = self.console.desk.journal.note
            await self.console.in_thread(note, actor.does("login", how))
        except Wrong as wrong:
            self._gate.sessions.end(cookie)
            return send(request, self._form(request, wrong.words, wrong.status))
        header = ("Set-Cookie", cookie_header(cookie, secure=self.secure))
        return send(request, redirect(AFTERWARDS, headers=[header]))

    async def leave(self, request: GuardedRequest) -> bytes:
        """Log somebody out."""
        viewer = self._gate.viewer(request)
        try:
            if viewer is not None:
                asked = asked_of(request, {}, viewer)
                self._gate.check_post(request, viewer, asked.filled("csrf"))
        except Wrong as wrong:
            return send(request, self.console.wrong(request, wrong))
        self._gate.sessions.end(self._gate.cookie(request))
        header = ("Set-Cookie", cookie_header("", secure=self.secure))
        return send(request, redirect("/login", headers=[header]))

    def _check_rate(self, request: GuardedRequest) -> None:
        if wait := self.wrong.wait(self._gate.origin(request)):
            raise Wrong(429, f"Too many were wrong; try again in {int(wait) + 1} seconds.")

    def _form(self, request: GuardedRequest, words: str, status: int) -> Answer:
        asked = asked_of(request, {}, self._nobody(request), with_form=False)
        return self.console.desk.page(asked, "login.html", status=status, words=words, menu=())

    def _nobody(self, request: GuardedRequest) -> Viewer:
        return Viewer("", Role.VIEWER, self._gate.origin(request), "page")
