"""The page of batches: how many flows of each stand how."""

from __future__ import annotations

from collections import Counter
from typing import Final

from holdfast.console.answers import Answer
from holdfast.console.asked import Asked
from holdfast.console.desk import Desk
from holdfast.console.page import Page
from holdfast.operating.standing import shown_word

ON_A_PAGE: Final = 50


def show(asked: Asked, desk: Desk) -> Answer:
    """Show a page of batches, those that began last first; or the one that the address names."""
    after = asked.number("after", 0, 2**62) or None
    name = asked.one("name").strip() or None
    page = desk.journal.batches(name=name, limit=ON_A_PAGE, after=after)
    rows = []
    for row in page.rows:
        counts = Counter[str]()
        for status, number in row.counts.items():
            counts[shown_word(status)] += number
        rows.append((row, counts))
    return desk.page(asked, "batches.html", rows=rows, then=page.then)


PAGES = [Page("/batches", show, menu="Batches")]
