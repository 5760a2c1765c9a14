"""What pages work with: the journal, and templates."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from holdfast.console.answers import Answer
from holdfast.console.asked import Asked
from holdfast.console.drafts import Drafts
from holdfast.console.sharing import Shared
from holdfast.console.templating import environment
from holdfast.console.viewers import Role
from holdfast.operating.glance import Glance, glance
from holdfast.operating.hooks import NO_HOOKS, AskedHooks

if TYPE_CHECKING:
    from jinja2 import Environment

    from holdfast_journal import FlowRow, SqlJournal


GLANCE_LIVES: Final = 1.0
"""Seconds for which all viewers are shown the same overview."""


@define(eq=False)
class Desk:
    """The place where pages work. Pages use it in threads of their own.

    Args:
        journal: the journal; its methods may be called from several threads.
        relay: the mailbox server of flows that are started here.
        appid: their application id.
        menu: the pages that every page links to: path, words, and the role that a viewer needs.
        hooks: who is told of flows that are started here.
        clock: seconds since the epoch.
        drafts: lists of people that were sent, and are not started yet.
    """

    journal: SqlJournal
    relay: str
    appid: str
    menu: Sequence[tuple[str, str, Role]] = ()
    hooks: AskedHooks = NO_HOOKS
    clock: Callable[[], float] = time.time
    drafts: Drafts = field(factory=Drafts, init=False)
    glance: Shared[Glance] = field(init=False)
    """How everything is."""
    _templates: Environment = field(factory=environment, init=False)

    def __attrs_post_init__(self) -> None:
        look = partial(glance, self.journal, self.clock)
        self.glance = Shared(look, GLANCE_LIVES, time.monotonic)

    def page(self, asked: Asked, template: str, *, status: int = 200, **values: Any) -> Answer:
        """Answer with a template, which sees `values`, `asked`, `viewer`, `menu` and `now`."""
        return Answer(self.text(asked, template, **values).encode(), status)

    def text(self, asked: Asked, template: str, **values: Any) -> str:
        """Return what a template makes: for a part of a page."""
        found = self._templates.get_template(template)
        common = {"asked": asked, "viewer": asked.viewer, "menu": self.menu, "now": self.clock()}
        return found.render({**common, **values})

    def row(self, flow: FlowRow, *, picks: bool) -> str:
        """Return a flow that has moved, as a row of a table; `picks` if it can be picked there."""
        macros: Any = self._templates.get_template("flow_row.html").module
        return str(macros.flow_row(flow, self.clock(), picks, True))  # noqa: FBT003 - a macro's
