"""Who asks: by a cookie, by the header of a trusted proxy, or by a token."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from attrs import define, frozen

from holdfast.console.answers import Wrong
from holdfast.console.guarding import COOKIE, is_our_origin
from holdfast.console.sessions import Sessions
from holdfast.console.viewers import Role, Viewer
from holdfast.operating.printable import printable

if TYPE_CHECKING:
    from holdfast.console.wire import GuardedRequest

LONGEST_NAME = 200


@frozen
class Proxy:
    """A reverse proxy that says who asks, and that alone can reach us.

    Args:
        header: the header in which it names the user; it must remove what clients send there.
        role: what its users may do.
    """

    header: str
    role: Role


@define(eq=False)
class Gate:
    """Lets requests in. Used in the reactor's thread."""

    sessions: Sessions
    proxy: Proxy | None = None

    def viewer(self, request: GuardedRequest, *, acts: bool = True) -> Viewer | None:
        """Return who asks for a page, or None if they have to log in.

        A session ends some hours after the last request of somebody who `acts`.
        """
        origin = self.origin(request)
        if self.proxy is not None:
            name = printable((request.header(self.proxy.header) or "").strip(), LONGEST_NAME)
            if name:
                csrf = self.sessions.csrf(f"proxy {name}")
                return Viewer(name, self.proxy.role, origin, "page", csrf)
        cookie = self.cookie(request)
        session = self.sessions.find(cookie, uses=acts) if cookie else None
        if session is None:
            return None
        csrf = self.sessions.csrf(cookie)
        return Viewer(session.name, session.role, origin, "page", csrf)

    def token_of(self, request: GuardedRequest) -> str | None:
        """Return the name of the token by which a session began, which may be revoked since."""
        session = self.sessions.find(self.cookie(request), uses=False)
        return None if session is None else session.token

    def cookie(self, request: GuardedRequest) -> str:
        """Return the cookie of a session, or an empty text."""
        return request.cookie(COOKIE)

    def origin(self, request: GuardedRequest) -> str:
        """Return the address that a request came from, for the audit."""
        if self.proxy is not None:
            # The last is the one that the proxy wrote.
            given = (request.header("x-forwarded-for") or "").rpartition(",")[2].strip()
            if given:
                return printable(given, LONGEST_NAME)
        return request.address()

    def check_post(self, request: GuardedRequest, viewer: Viewer, shown: str) -> None:
        """See that a page of ours made a request that changes something. Raises Wrong."""
        self.check_origin(request)
        if not viewer.csrf or not _same(viewer.csrf, shown):
            raise Wrong(403, "This form is out of date: load the page again, and repeat it.")

    def check_origin(self, request: GuardedRequest) -> None:
        """See that no other site made a request. Raises Wrong."""
        if not is_our_origin(request.header("origin"), request.header("host") or ""):
            raise Wrong(403, "This request came from another site, so nothing was done.")


def bearer(request: GuardedRequest) -> str | None:
    """Return the token that a program shows, or None."""
    kind, _, token = (request.header("authorization") or "").partition(" ")
    return token.strip() if kind.lower() == "bearer" and token.strip() else None


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "replace"))
