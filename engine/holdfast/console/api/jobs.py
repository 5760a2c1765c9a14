"""The operations of the API on many flows at once: durable jobs."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from holdfast.console.answers import Answer, Wrong, as_json
from holdfast.console.api import schemas
from holdfast.console.api.failing import FAILS
from holdfast.console.api.route import PREFIX, Route, json_object
from holdfast.console.asked import Asked
from holdfast.console.desk import Desk
from holdfast.console.templating import iso
from holdfast.console.viewers import Role
from holdfast.console.wishing import wish_of
from holdfast.operating.jobs import AnotherJob, What, begin, words_of

if TYPE_CHECKING:
    from holdfast_journal import Job

ON_A_PAGE: Final = 100
MOST_ON_A_PAGE: Final = 1000


def start(asked: Asked, desk: Desk) -> Answer:
    """Begin a job, once for each `Idempotency-Key`."""
    sent = json_object(asked, schemas.NEW_JOB)
    key = asked.headers.get("idempotency-key")
    uid = secrets.token_hex(16) if key is None else _uid(asked.viewer.name, key)
    said = {
        name: value if isinstance(value, list) else [value]
        for name, value in sent.items()
        if name in ("uid", "q", "name", "status", "kind", "batch", "since")
    }
    expires = sent.get("expires_in")
    wish = wish_of(
        sent["what"],
        said,
        everything=sent.get("all", False),
        force=sent.get("force", False),
        deadline=None if expires is None else desk.clock() + expires,
    )
    try:
        new = begin(desk.journal, uid, wish, asked.viewer.actor(sent.get("why", "")))
    except AnotherJob:
        raise Wrong(409, "This key was used for another job.") from None
    location = ("Location", f"{PREFIX}/jobs/{uid}")
    return as_json(facts_of(_find(uid, desk)), 202 if new else 200, headers=[location])


def find_all(asked: Asked, desk: Desk) -> Answer:
    """List jobs, the newest first."""
    limit = asked.number("limit", ON_A_PAGE, MOST_ON_A_PAGE)
    after = asked.number("after", 0, 2**62) or None
    page = desk.journal.jobs.page(limit=limit, after=after)
    return as_json({"jobs": [facts_of(job) for job in page.rows], "next": page.then})


def find_one(asked: Asked, desk: Desk) -> Answer:
    """Show how far a job is."""
    return as_json(facts_of(_find(asked.args["uid"], desk)))


def stop(asked: Asked, desk: Desk) -> Answer:
    """Stop a job; what it has done stays."""
    job = _find(asked.args["uid"], desk)
    act = asked.viewer.actor().does("bulk", f"stopped job {job.uid}")
    if not desk.journal.jobs.stop(job.uid, act):
        raise Wrong(409, "This job is over.")
    return as_json(facts_of(_find(job.uid, desk)))


def facts_of(job: Job) -> Mapping[str, Any]:
    """Return what programs are told of a job."""
    return {
        "uid": job.uid,
        "what": job.what,
        "words": words_of(job),
        "state": job.state,
        "total": job.total,
        "done": job.done,
        "refused": job.refused,
        "notes": list(job.notes),
        "by": job.by.who,
        "asked_at": iso(job.created_at),
        "finished_at": None if job.finished_at is None else iso(job.finished_at),
    }


def _find(uid: str, desk: Desk) -> Job:
    job = desk.journal.jobs.find(uid)
    if job is None:
        raise Wrong(404, "There is no such job.")
    return job


def _uid(name: str, key: str) -> str:
    return blake2b(f"{name}\0{key}".encode("utf-8", "replace"), digest_size=16).hexdigest()


_NONE: Final = {404: ("There is no such job.", schemas.ERROR)}

ROUTES: Final[Sequence[Route]] = (
    Route(
        "POST",
        "/jobs",
        "startJob",
        start,
        Role.OPERATOR,
        f"Do something to many flows: {', '.join(What)}.",
        {
            202: ("The job was written down, and will be done.", schemas.JOB),
            200: ("It was written down before.", schemas.JOB),
            409: ("The key was used for another job.", schemas.ERROR),
            **FAILS,
        },
        body=schemas.NEW_JOB,
        headers={"Idempotency-Key": "The same key begins one job, however often it is sent."},
    ),
    Route(
        "GET",
        "/jobs",
        "listJobs",
        find_all,
        Role.VIEWER,
        "List jobs, the newest first.",
        {200: ("A page.", schemas.JOBS), **FAILS},
        query={
            "limit": f"At most so many jobs, up to {MOST_ON_A_PAGE}.",
            "after": "The `next` of the page before.",
        },
    ),
    Route(
        "GET",
        "/jobs/<uid>",
        "getJob",
        find_one,
        Role.VIEWER,
        "Show how far a job is.",
        {200: ("The job.", schemas.JOB), **_NONE, **FAILS},
    ),
    Route(
        "POST",
        "/jobs/<uid>/stop",
        "stopJob",
        stop,
        Role.OPERATOR,
        "Stop a job; what it has done stays.",
        {
            200: ("It was stopped.", schemas.JOB),
            409: ("It was over.", schemas.ERROR),
            **_NONE,
            **FAILS,
        },
    ),
)
