"""Jobs: what an operator asks of many flows, done by whichever console is there.

A job is a row, and its plan the rows of `plans` that have its uid. It is planned in one transaction
and carried out in small ones. Each of these takes its flows off the plan, does what is to be done,
writes it into the audit, and counts: so a process that goes on after another was killed does what
is left, and nothing twice.

A job has one runner at a time, whose lease each transaction checks and renews. That is for order
only: without it two consoles would do no harm, but wait for each other.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen
from sqlalchemy import ColumnElement, delete, insert, or_, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from holdfast_journal.auditing.acts import Act
from holdfast_journal.auditing.recording import record
from holdfast_journal.keys.ring import KeyRing
from holdfast_journal.ownership import retrying
from holdfast_journal.ownership.work import Where, Work
from holdfast_journal.reading import jobs as reading
from holdfast_journal.reading.jobs import OPEN, Job, JobPage, JobState, job_of
from holdfast_journal.store.database import Database
from holdfast_journal.store.many import CHUNK, chunks
from holdfast_journal.store.schema import batches, flows, jobs, plans

LEASE: Final = 5.0
"""Seconds after which another process goes on with the job of one that is gone."""

MOST_NOTES: Final = 20


@frozen
class Jobs:
    """The jobs of a database. Every method raises DatabaseUnusable."""

    _database: Database
    _keys: KeyRing = field(repr=False)
    _clock: Callable[[], float] = field(repr=False)

    def make(self, uid: str, what: str, choice: str, arguments: str, act: Act) -> bool:
        """Write down what is to be done. Return False if there is a job of that uid already.

        Args:
            uid: 32 hex digits: the same for the same wish, so that it can be sent twice.
            what: in a word.
            choice: JSON: which flows.
            arguments: JSON: what else was said.
            act: for the audit; its actor is written down with every flow too.
        """
        now, by = self._clock(), act.actor
        said = {"who": by.who, "origin": by.origin, "face": by.face, "why": by.why}
        times = {"created_at": now, "updated_at": now}
        counts = {"total": 0, "done": 0, "refused": 0, "notes": "[]"}
        values = {"uid": uid, "what": what, "choice": choice, "arguments": arguments}
        state = {"state": JobState.NEW.value}
        try:
            with self._database.writing() as connection:
                connection.execute(insert(jobs).values(values | said | times | counts | state))
                record(connection, act, now)
        except IntegrityError:
            return False
        return True

    def find(self, uid: str) -> Job | None:
        """The job of that uid."""
        with self._database.reading() as connection:
            return reading.find(connection, uid)

    def page(self, *, limit: int = CHUNK, after: int | None = None) -> JobPage:
        """At most `limit` jobs, the newest first, behind the page that ended with `after`."""
        with self._database.reading() as connection:
            return reading.page(connection, limit, after)

    def stop(self, uid: str, act: Act) -> bool:
        """Leave the flows of a job that are left as they are. Return False if none are."""
        now = self._clock()
        over = {"state": JobState.STOPPED.value, "finished_at": now, "updated_at": now}
        which = update(jobs).where(jobs.c.uid == uid, jobs.c.state.in_(OPEN))
        with self._database.writing() as connection:
            found = connection.execute(which.values(over)).rowcount == 1
            if found:
                connection.execute(delete(plans).where(plans.c.plan == uid))
                record(connection, act, now)
        return found

    def next(self, runner: str) -> Job | None:
        """The job that waits longest for somebody to go on with it, of those that this one may."""
        waits = select(jobs).where(jobs.c.state.in_(OPEN), self._is_free(runner))
        with self._database.reading() as connection:
            row = connection.execute(waits.order_by(jobs.c.updated_at, jobs.c.id).limit(1)).first()
        return None if row is None else job_of(row)

    def keep(self, uid: str, runner: str) -> bool:
        """Take or renew the lease of a job. Return False if it is another's now, or over."""
        with self._database.writing() as connection:
            return self._hold(connection, uid, runner) is not None

    def plan(
        self,
        uid: str,
        runner: str,
        attempts: Mapping[int, int],
        refused: int = 0,
        notes: Sequence[str] = (),
    ) -> bool:
        """Write down, all at once, what a job is about. Return False as `keep` does.

        Args:
            uid: whose plan it is.
            runner: who plans.
            attempts: the flows, and the attempt of each that is meant.
            refused: to how many others it cannot be done.
            notes: why, for the first of them.
        """
        now = self._clock()
        with self._database.writing() as connection:
            job = self._hold(connection, uid, runner)
            if job is None or job.state != JobState.NEW:
                return False
            retrying.write_plan(connection, self._database, uid, attempts, now)
            values = {
                "state": JobState.RUNNING.value,
                "total": len(attempts) + refused,
                "refused": refused,
                "notes": _as_json(notes),
            }
            connection.execute(update(jobs).where(jobs.c.uid == uid).values(values))
        return True

    def step(self, uid: str, runner: str, work: Work, act: Act) -> bool:
        """Do the next part of a planned job. Return False if nothing is left that we may do."""
        now = self._clock()
        with self._database.writing_in_turn() as connection:
            job = self._hold(connection, uid, runner)
            if job is None:
                return False
            steps = retrying.next_steps(connection, self._database, uid)
            if not steps:
                _finish(connection, uid, JobState.DONE, now)
                return False
            found = work.do(Where(connection, self._database, self._keys, now), steps, act)
            retrying.take_off(connection, uid, steps)
            refused = {flow: why for flow, why in found.items() if why is not None}
            values: dict[str, Any] = {
                "done": job.done + len(steps) - len(refused),
                "refused": job.refused + len(refused),
            }
            if refused and len(job.notes) < MOST_NOTES:
                values["notes"] = _as_json([*job.notes, *_named(connection, refused)])
            connection.execute(update(jobs).where(jobs.c.uid == uid).values(values))
        return True

    def fail(self, uid: str, runner: str, why: str) -> None:
        """Give a job up, with the reason in words."""
        now = self._clock()
        with self._database.writing() as connection:
            job = self._hold(connection, uid, runner)
            if job is None:
                return
            notes = json.dumps([*job.notes, why])
            connection.execute(update(jobs).where(jobs.c.uid == uid).values(notes=notes))
            connection.execute(delete(plans).where(plans.c.plan == uid))
            _finish(connection, uid, JobState.FAILED, now)

    def _hold(self, connection: Connection, uid: str, runner: str) -> Job | None:
        """The job, if it is ours in this transaction, which then nobody else changes."""
        now = self._clock()
        until = self._database.dialect.clock(now) + LEASE
        ours = (jobs.c.uid == uid) & jobs.c.state.in_(OPEN) & self._is_free(runner)
        values = {"runner": runner, "runner_until": until, "updated_at": now}
        row = connection.execute(update(jobs).where(ours).values(values).returning(*jobs.c)).first()
        return None if row is None else job_of(row)

    def _is_free(self, runner: str) -> ColumnElement[bool]:
        now = self._database.dialect.clock(self._clock())
        until = jobs.c.runner_until
        # A time that is too far ahead is of a clock that was set back.
        over = or_(until.is_(None), until <= now, until > now + LEASE + 1)
        return or_(jobs.c.runner.is_(None), jobs.c.runner == runner, over)


def _finish(connection: Connection, uid: str, state: JobState, now: float) -> None:
    values = {"state": state.value, "finished_at": now, "runner": None, "runner_until": None}
    connection.execute(update(jobs).where(jobs.c.uid == uid).values(values))


def _named(connection: Connection, refused: Mapping[int, str]) -> list[str]:
    """Why these flows were refused, with their names."""
    called = {}
    for chunk in chunks(refused):
        query = select(flows.c.id, flows.c.name, batches.c.name.label("batch")).join_from(
            flows, batches, flows.c.batch_id == batches.c.id
        )
        for row in connection.execute(query.where(flows.c.id.in_(chunk))):
            called[row.id] = f"{row.batch}/{row.name}"
    return [f"{called.get(flow, 'a flow')} {why}" for flow, why in refused.items()]


def _as_json(notes: Sequence[str]) -> str:
    return json.dumps(list(notes[:MOST_NOTES]))
