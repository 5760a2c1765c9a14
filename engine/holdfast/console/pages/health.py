"""The page of health: the database, its keys and disk, and what the doctor found last."""

from __future__ import annotations

from typing import Final

from holdfast.console.answers import Answer
from holdfast.console.asked import Asked
from holdfast.console.desk import Desk
from holdfast.console.page import Page
from holdfast.operating.checkups import last
from holdfast.version import VERSION

LITTLE: Final = 0.1
"""The part of a disk below which its space is called little."""

LONG_AGO: Final = 8 * 86400.0
"""Seconds after which the doctor should look again."""


def show(asked: Asked, desk: Desk) -> Answer:
    """Show what is quickly known, and what `holdfast doctor --note` has written down."""
    condition = desk.journal.checks.condition()
    checkup = last(desk.journal)
    full = (
        condition.free is not None
        and condition.total is not None
        and condition.free < LITTLE * condition.total
    )
    return desk.page(
        asked,
        "health.html",
        condition=condition,
        full=full,
        checkup=checkup,
        stale=checkup is not None and desk.clock() - checkup.at > LONG_AGO,
        notices=desk.journal.notices(),
        release=VERSION,
    )


PAGES = [Page("/health", show, menu="Health")]
