"""Jobs: what was asked of many flows in a console, page by page, the newest first."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from attrs import frozen
from sqlalchemy import select
from sqlalchemy.engine import Connection

from holdfast_journal.auditing.acts import Actor
from holdfast_journal.store.schema import jobs
from holdfast_journal.store.values import mended, texts, unsound


class JobState(StrEnum):
    """How a job stands. The values are stored, and never change."""

    NEW = "new"
    """It is not known yet which flows it is about."""
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    """An operator stopped it; the flows that were left stay as they are."""
    FAILED = "failed"
    """It cannot be done; its last note says why."""


OPEN = (JobState.NEW.value, JobState.RUNNING.value)


@frozen
class Job:
    """A job as its operators see it. Times in seconds since the epoch."""

    id: int
    uid: str
    what: str
    choice: str
    """JSON: which flows."""
    arguments: str
    """JSON: what else was said."""
    by: Actor
    created_at: float
    updated_at: float
    finished_at: float | None
    state: str
    total: int
    """How many flows it is about; 0 as long as that is not known."""
    done: int
    """For how many of them it was done."""
    refused: int
    """For how many it was not, and will not be."""
    notes: Sequence[str]
    """Why some were refused, in words; the first few."""

    @property
    def is_open(self) -> bool:
        """Whether there is more to do."""
        return self.state in OPEN


@frozen
class JobPage:
    """Some jobs, the newest first."""

    rows: Sequence[Job]
    then: int | None
    """What to hand over to get the next page; None if this is the last one."""


def page(connection: Connection, limit: int, after: int | None) -> JobPage:
    """At most `limit` jobs that are older than the one with the id `after`."""
    query = select(jobs).order_by(jobs.c.id.desc()).limit(limit + 1)
    if after is not None:
        query = query.where(jobs.c.id < after)
    found = [job_of(each) for each in connection.execute(query)]
    return JobPage(found[:limit], found[limit - 1].id if len(found) > limit else None)


def find(connection: Connection, uid: str) -> Job | None:
    """The job of that uid."""
    row = connection.execute(select(jobs).where(jobs.c.uid == uid)).one_or_none()
    return None if row is None else job_of(row)


def job_of(row: Any) -> Job:
    """What operators see of a row; something harmless where another program has altered it."""
    row = mended(row, jobs, unsound(row, jobs))
    return Job(
        id=row.id,
        uid=row.uid,
        what=row.what,
        choice=row.choice,
        arguments=row.arguments,
        by=Actor(row.who, row.origin, row.face, row.why),
        created_at=row.created_at,
        updated_at=row.updated_at,
        finished_at=row.finished_at,
        state=row.state,
        total=row.total,
        done=row.done,
        refused=row.refused,
        notes=texts(row.notes),
    )
