"""The first page: how everything is, at a glance."""

from __future__ import annotations

from holdfast.console.answers import Answer
from holdfast.console.asked import Asked
from holdfast.console.desk import Desk
from holdfast.console.page import Page


def show(asked: Asked, desk: Desk) -> Answer:
    """Show how everything is."""
    return desk.page(asked, "overview.html", glance=desk.glance.get(), relay=desk.relay)


PAGES = [Page("/", show, menu="Overview")]
