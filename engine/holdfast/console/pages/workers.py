"""The page of workers: the processes that run flows; one can be asked to leave."""

from __future__ import annotations

from typing import Final

from holdfast.console.answers import Answer, Wrong, redirect
from holdfast.console.asked import Asked
from holdfast.console.desk import Desk
from holdfast.console.page import Page
from holdfast.console.viewers import Role

ON_A_PAGE: Final = 50

LARGEST_ID: Final = 2**62


def show(asked: Asked, desk: Desk) -> Answer:
    """Show those that matter now; or, page by page, all that there ever were."""
    if asked.one("all"):
        after = asked.number("after", LARGEST_ID, LARGEST_ID)
        page = desk.journal.worker_page(limit=ON_A_PAGE, after=after)
        workers, then = page.rows, page.then
    else:
        workers, then = desk.journal.serving(), None
    left = sum(each.flows for each in workers if not each.alive)
    can_drain = asked.viewer.may(Role.OPERATOR)
    return desk.page(
        asked, "workers.html", workers=workers, left=left, then=then, can_drain=can_drain
    )


def drain(asked: Asked, desk: Desk) -> Answer:
    """Ask a worker to give back its flows and end."""
    said = asked.args["worker"]
    worker = int(said) if said.isascii() and said.isdigit() and len(said) < 19 else None
    if worker not in {each.id for each in desk.journal.serving() if each.alive}:
        raise Wrong(404, "There is no such worker, or it has ended.")
    desk.journal.drain(worker, act=asked.actor.does("drain", f"worker {worker}"))
    return redirect("/workers")


PAGES = [
    Page("/workers", show, menu="Workers"),
    Page("/workers/<worker>/drain", drain, method="POST", role=Role.OPERATOR),
]
