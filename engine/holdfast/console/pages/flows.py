"""The page of flows: all of them, or those that the address chooses."""

from __future__ import annotations

from typing import Final

from holdfast.console.answers import Answer
from holdfast.console.asked import Asked
from holdfast.console.choosing import (
    choice_of,
    cursor_of,
    cursor_text,
    kept,
    sort_of,
)
from holdfast.console.desk import Desk
from holdfast.console.page import Page
from holdfast.console.viewers import Role
from holdfast.operating.choosing import WORDS
from holdfast.operating.summing import summary
from holdfast_journal import Sort

ON_A_PAGE: Final = 50
MOST_ON_A_PAGE: Final = 500


def show(asked: Asked, desk: Desk) -> Answer:
    """Show a page of flows, and how many stand how."""
    chosen = choice_of(asked).filter()
    limit = asked.number("limit", ON_A_PAGE, MOST_ON_A_PAGE)
    after = cursor_of(asked.one("after"))
    page = desk.journal.page(chosen, sort_of(asked), limit=limit, after=after)
    return desk.page(
        asked,
        "flows.html",
        flows=page.rows,
        picks=asked.viewer.may(Role.OPERATOR),
        summary=summary(desk.journal.groups(chosen), desk.journal),
        notices=desk.journal.notices(),
        words=list(WORDS),
        sorts=list(Sort),
        kept=kept(asked),
        then=cursor_text(page.then),
    )


PAGES = [Page("/flows", show, menu="Flows")]
