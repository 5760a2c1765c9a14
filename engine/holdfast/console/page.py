"""How a page is declared.

A page is a plain function that may block: it runs in a thread, gets what was asked and the desk,
and returns an answer. The frame has checked host, login, role, origin and CSRF token before, and
turns what the function raises (`Wrong`, `Refused`, errors of the journal) into a page in words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from holdfast.console.answers import Answer
from holdfast.console.asked import Asked
from holdfast.console.desk import Desk
from holdfast.console.viewers import Role

Handler = Callable[[Asked, Desk], Answer]


@frozen
class Page:
    """What answers one method of one path.

    Args:
        path: as klein writes it: `/flows/<uid>`; the variables are in `Asked.args`.
        handler: what answers, in a thread.
        method: GET only reads; POST changes something, and redirects to a GET.
        role: what a viewer must be to get it.
        menu: the words by which every page links to it.
    """

    path: str
    handler: Handler
    method: str = "GET"
    role: Role = Role.VIEWER
    menu: str | None = None


@frozen
class Stream:
    """An answer that goes on for as long as somebody listens (server-sent events).

    Args:
        path: as that of a page.
        handler: called in the reactor's thread, with what was asked, the `site.Console` (its
            `desk`, and its `in_thread` for what blocks) and Twisted's request; returns a Deferred
            that fires when the answer is over. The frame finishes the request.
        role: what a viewer must be to get it.
    """

    path: str
    handler: Callable[[Asked, Any, Any], Any]
    role: Role = Role.VIEWER
