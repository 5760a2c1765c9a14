"""The API in the console's process: tokens and bounds before an operation, JSON behind it.

It knows no cookies, so no page of another site can use it in somebody's name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import define, evolve

from holdfast.console.answers import Answer, Wrong, as_json
from holdfast.console.api.openapi import document
from holdfast.console.api.route import LARGEST_BODY, PREFIX, Route
from holdfast.console.api.routes import ROUTES
from holdfast.console.gate import bearer
from holdfast.console.rates import Rates
from holdfast.console.site import Console, asked_of, send
from holdfast.console.viewers import Role, Viewer

if TYPE_CHECKING:
    from holdfast.console.wire import GuardedRequest


@define(eq=False)
class ApiServer:
    """Serves the routes.

    Args:
        console: the console in whose process it is.
        wrong: how often an address may show a wrong token.
        rate: how much each token may ask.
    """

    console: Console
    wrong: Rates
    rate: Rates

    def add(self) -> None:
        """Let them be asked for."""
        route = self.console.app.route
        route(f"{PREFIX}/openapi.json", methods=["GET"], endpoint="openapi")(self._describe)
        for each in ROUTES:
            path, name = PREFIX + each.path, f"api {each.name}"
            route(path, methods=[each.method], endpoint=name)(self._serve(each))

    def _describe(self, request: GuardedRequest) -> bytes:
        return send(request, as_json(document()))

    def _serve(self, route: Route) -> Callable[..., Any]:
        async def serve(request: GuardedRequest, **args: str) -> bytes:
            try:
                answer = await self._answer(route, request, args)
            except Wrong as wrong:
                words = {"error": wrong.words}
                answer = as_json(words, wrong.status, headers=wrong.headers)
            return send(request, answer)

        return serve

    async def _answer(self, route: Route, request: GuardedRequest, args: dict[str, str]) -> Answer:
        origin = self.console.gate.origin(request)
        _wait(self.wrong.wait(origin))
        token = bearer(request)
        if token is None:
            raise _who()
        found = await self.console.in_thread(self.console.desk.journal.tokens.find, token)
        if found is None:
            self.wrong.take(origin)
            raise _who()
        _wait(self.rate.take(found.name))
        viewer = Viewer(found.name, Role.of(found.role), origin, "api")
        if not viewer.may(route.role):
            raise Wrong(403, f"This needs a token of the role {route.role.word}.")
        asked = evolve(asked_of(request, args, viewer, with_form=False), body=_body(request))
        answer: Answer = await self.console.in_thread(route.handler, asked, self.console.desk)
        return answer


def _body(request: GuardedRequest) -> bytes:
    content = request.content
    found = b"" if content is None else content.read(LARGEST_BODY + 1)
    if len(found) > LARGEST_BODY:
        raise Wrong(413, f"The body is too large: at most {LARGEST_BODY} bytes.")
    return found


def _wait(seconds: float) -> None:
    if seconds:
        after = str(math.ceil(seconds))
        raise Wrong(429, "Too much is asked.", headers=[("Retry-After", after)])


def _who() -> Wrong:
    words = "This needs a token: Authorization: Bearer hf_…"
    return Wrong(401, words, headers=[("WWW-Authenticate", "Bearer")])
