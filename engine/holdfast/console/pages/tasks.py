"""The page of tasks: what flows wait for outside the exchange."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from typing import Final

from holdfast.console.answers import Answer, Wrong
from holdfast.console.asked import Asked
from holdfast.console.choosing import choice_of
from holdfast.console.desk import Desk
from holdfast.console.page import Page
from holdfast.operating.tasks import STATES, TaskChoice, counts, next_try, shown_state
from holdfast_journal import TaskCursor

ON_A_PAGE: Final = 50
MOST_ON_A_PAGE: Final = 500

KEPT: Final = ("q", "status", "kind", "batch", "since", "name", "task", "state", "limit")


def show(asked: Asked, desk: Desk) -> Answer:
    """Show a page of tasks, those tried most often first, and how many stand how."""
    states = asked.many("state")
    if any(each not in STATES for each in states):
        raise Wrong(400, f"state: there is {', '.join(STATES)}")
    chosen = TaskChoice(choice_of(asked), asked.many("task"), states).filter()
    limit = asked.number("limit", ON_A_PAGE, MOST_ON_A_PAGE)
    page = desk.journal.tasks(chosen, limit=limit, after=cursor_of(asked.one("after")))
    return desk.page(
        asked,
        "tasks.html",
        tasks=[(row, shown_state(row), next_try(row)) for row in page.rows],
        counts=counts(desk.journal.task_groups(chosen)),
        states=STATES,
        kept={name: said for name in KEPT if (said := list(asked.many(name)))},
        then=cursor_text(page.then),
    )


def cursor_text(cursor: TaskCursor | None) -> str:
    """Return where a page ended, as text for an address; empty for the last page."""
    if cursor is None:
        return ""
    said = json.dumps([cursor.tried, cursor.due_at, cursor.id])
    return urlsafe_b64encode(said.encode()).decode().rstrip("=")


def cursor_of(text: str) -> TaskCursor | None:
    """Return where the page before ended. Raises Wrong for a text that is not ours."""
    if not text:
        return None
    try:
        padded = text + "=" * (-len(text) % 4)
        match json.loads(urlsafe_b64decode(padded.encode())):
            case [int(tried), float() | int() as due, int(task)] if (
                abs(tried) < 2**31 and abs(due) < 1e12 and 0 <= task < 2**62
            ):
                return TaskCursor(int(tried), float(due), int(task))
    except (ValueError, Error, RecursionError):
        pass
    raise Wrong(400, "after: this is not the end of a page")


PAGES = [Page("/tasks", show, menu="Tasks")]
