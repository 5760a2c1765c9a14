"""The page of the audit: what operators have done, the newest first."""

from __future__ import annotations

from typing import Final

from holdfast.console.answers import Answer
from holdfast.console.asked import Asked
from holdfast.console.desk import Desk
from holdfast.console.page import Page
from holdfast.operating.audit import ACTIONS
from holdfast.operating.people import same_name
from holdfast_journal import Deeds

ON_A_PAGE: Final = 50
MOST_ON_A_PAGE: Final = 500

LARGEST_ID: Final = 2**62

KEPT: Final = ("who", "action", "name", "batch", "flow", "limit")


def show(asked: Asked, desk: Desk) -> Answer:
    """Show a page of deeds: all, or those that the address chooses."""
    limit = asked.number("limit", ON_A_PAGE, MOST_ON_A_PAGE)
    meant = Deeds(
        who=asked.one("who").strip() or None,
        action=asked.one("action") or None,
        flow_uid=asked.one("flow").strip() or None,
        name=same_name(asked.one("name").strip()) or None,
        batch=asked.one("batch").strip() or None,
        before=asked.number("before", LARGEST_ID, LARGEST_ID),
    )
    found = desk.journal.audit(meant, limit=limit + 1)
    deeds = found[:limit]
    return desk.page(
        asked,
        "audit.html",
        deeds=deeds,
        actions=ACTIONS,
        kept={name: said for name in KEPT if (said := list(asked.many(name)))},
        then=deeds[-1].id if len(found) > limit else None,
    )


PAGES = [Page("/audit", show, menu="Audit")]
