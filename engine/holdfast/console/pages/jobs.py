"""Doing something to many flows: the question before it, and the jobs with their progress."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from holdfast.console.answers import Answer, Wrong, redirect
from holdfast.console.asked import Asked
from holdfast.console.desk import Desk
from holdfast.console.page import Page
from holdfast.console.viewers import Role
from holdfast.console.wishing import CHOICE, checked_uid, wish_of
from holdfast.operating.jobs import What, Wish, begin, foresee, words_of
from holdfast.operating.summing import summary
from holdfast_journal import JobState

if TYPE_CHECKING:
    from holdfast_journal import Job

ON_A_PAGE: Final = 50

MOST_SHOWN: Final = 10
"""Flows that are named in a question."""

MOST_FORESEEN: Final = 1000
"""Flows of which is found out before to which of them it can be done."""

_NO_DEADLINE: Final = 0.0
"""Stands for a deadline that is asked for next."""


def ask(asked: Asked, desk: Desk) -> Answer:
    """Ask whether it is meant, and for what belongs to it; nothing is done yet."""
    wish = _wish(asked, deadline=_NO_DEADLINE)
    chosen = wish.filter(desk.clock())
    found = summary(desk.journal.groups(chosen), desk.journal)
    if not found.total:
        raise Wrong(400, "No flow is like that.")
    able = others = None
    if found.total <= MOST_FORESEEN:
        able, others = foresee(desk.journal, wish, desk.clock())
    first = desk.journal.page(chosen, limit=MOST_SHOWN).rows if able is None else able[:MOST_SHOWN]
    return desk.page(
        asked,
        "job_ask.html",
        what=wish.what,
        everything=not wish.uids,
        said=_said(asked),
        uid=secrets.token_hex(16),
        summary=found,
        count=found.total if able is None else len(able),
        others=others,
        first=first,
    )


def start(asked: Asked, desk: Desk) -> Answer:
    """Begin a job; a form that is sent twice begins one."""
    uid = checked_uid(asked.filled("job"))
    seconds = asked.seconds("deadline")
    deadline = None if seconds is None else desk.clock() + seconds
    begin(desk.journal, uid, _wish(asked, deadline=deadline), asked.actor)
    return redirect(f"/jobs/{uid}")


def show(asked: Asked, desk: Desk) -> Answer:
    """Show a job and how far it is."""
    job = find(asked, desk)
    return desk.page(asked, "job.html", job=job, words=words_of(job), mood=mood_of(job))


def show_all(asked: Asked, desk: Desk) -> Answer:
    """Show jobs, the newest first."""
    after = asked.number("after", 0, 2**62) or None
    page = desk.journal.jobs.page(limit=ON_A_PAGE, after=after)
    rows = [(job, words_of(job), mood_of(job)) for job in page.rows]
    return desk.page(
        asked,
        "jobs.html",
        rows=rows,
        then=page.then,
        some_open=any(job.is_open for job in page.rows),
    )


def stop(asked: Asked, desk: Desk) -> Answer:
    """Stop a job; what it has done stays."""
    job = find(asked, desk)
    if not desk.journal.jobs.stop(job.uid, asked.actor.does("bulk", f"stopped job {job.uid}")):
        raise Wrong(409, "This job is over.")
    return redirect(f"/jobs/{job.uid}")


def find(asked: Asked, desk: Desk) -> Job:
    """Return the job whose uid is in the path. Raises Wrong."""
    job = desk.journal.jobs.find(asked.args["uid"])
    if job is None:
        raise Wrong(404, "There is no such job.")
    return job


def mood_of(job: Job) -> str:
    """Return the class that a job's state has in the style sheet."""
    if job.is_open:
        return "open"
    return {JobState.DONE.value: "good", JobState.FAILED.value: "bad"}.get(job.state, "over")


def _wish(asked: Asked, deadline: float | None) -> Wish:
    what = asked.filled("what")
    return wish_of(
        what,
        {name: asked.all_filled(name) for name in (*CHOICE, "uid")},
        everything=asked.filled("which") == "all",
        force=what == What.RETRY and asked.filled("force") == "yes",
        deadline=deadline if what == What.EXTEND else None,
    )


def _said(asked: Asked) -> Mapping[str, Sequence[str]]:
    """What chose the flows, for the next form."""
    names: Any = CHOICE if asked.filled("which") == "all" else ("uid",)
    return {name: [each for each in asked.all_filled(name) if each] for name in names}


PAGES = [
    Page("/jobs", show_all, menu="Jobs"),
    Page("/jobs", start, method="POST", role=Role.OPERATOR),
    Page("/jobs/ask", ask, method="POST", role=Role.OPERATOR),
    Page("/jobs/<uid>", show),
    Page("/jobs/<uid>/stop", stop, method="POST", role=Role.OPERATOR),
]
