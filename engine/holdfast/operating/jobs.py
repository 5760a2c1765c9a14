"""What an operator asks of many flows at once in a console, as a durable job.

`begin` writes down what is wanted. A `Runner` finds the flows, asks the rules about each, plans,
and carries the plan out in small transactions. It is a loop without memory: killed anywhere, and
begun again by any console, it does what is left, and nothing twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final

from attrs import asdict, evolve, field, frozen

from holdfast.operating.bulk import Rule, pages, with_deadline
from holdfast.operating.choosing import Choice
from holdfast.operating.durations import in_words
from holdfast.operating.printable import printable, quoted
from holdfast.operating.refused import Refused
from holdfast.operating.rules import why_not_cancel, why_not_extend, why_not_retry
from holdfast_journal import CANCEL, DatabaseUnusable, JournalError

if TYPE_CHECKING:
    from holdfast_journal import Act, Actor, Filter, FlowRow, Job, SqlJournal, Work

MOST_CHOSEN: Final = 1000
"""Flows that can be chosen one by one."""

LONGEST_WORDS: Final = 1000
"""Characters of what the audit says of a wish."""

_END_OF_TIME: Final = 253_402_300_800.0
"""The year 10000, in seconds since the epoch: times are not written beyond it."""

_NOTED: Final = 20
"""Flows that cannot be planned, and of which is noted why."""


class What(StrEnum):
    """What can be done to many flows. The values are stored, and never change."""

    RETRY = "retry"
    CANCEL = "cancel"
    EXTEND = "extend"


class AnotherJob(Refused):
    """There is a job of that uid already, about something else."""


@frozen
class Wish:
    """What an operator wants to be done to many flows.

    Args:
        what: what.
        choice: to which flows; it says nothing if `uids` does.
        uids: exactly these flows.
        force: for a retry: also those whose recipients may have the secret.
        deadline: for an extension: in seconds since the epoch.

    Raises:
        Refused: these do not go together.
    """

    what: What = field(converter=What)
    choice: Choice = field(factory=Choice)
    uids: Sequence[str] = ()
    force: bool = False
    deadline: float | None = None

    def __attrs_post_init__(self) -> None:
        if self.what is What.EXTEND and self.deadline is None:
            raise Refused("say until when the flows are to be extended")
        if max(len(self.uids), len(self.choice.names)) > MOST_CHOSEN:
            raise Refused(f"at most {MOST_CHOSEN} flows can be chosen one by one")
        for seconds in (self.deadline, self.choice.since):
            if seconds is not None and not 0 <= seconds < _END_OF_TIME:
                raise Refused("this is not a time")
        self.filter(0.0)

    def filter(self, asked_at: float) -> Filter:
        """Return what the database is asked for. Raises Refused for a status that there is not.

        Args:
            asked_at: when the operator chose, in seconds since the epoch.
        """
        from holdfast_journal import Filter

        if self.uids:
            return Filter(uids=self.uids)
        since = None if self.choice.since is None else asked_at - self.choice.since
        return evolve(self.choice.filter(), since=since)

    @property
    def words(self) -> str:
        """What is wanted, for people."""
        return f"{self.what.capitalize()} {self._which}{self._how}"

    @property
    def _which(self) -> str:
        if self.uids:
            return "1 chosen flow" if len(self.uids) == 1 else f"{len(self.uids)} chosen flows"
        chosen = self.choice
        parts = [
            *(f"named {quoted(each, 200)}" for each in chosen.names),
            *([f"named like {quoted(chosen.glob, 200)}"] if chosen.glob else []),
            *([f"that stand as {', '.join(chosen.statuses)}"] if chosen.statuses else []),
            *([f"of the kind {', '.join(chosen.kinds)}"] if chosen.kinds else []),
            *([f"in the batch {quoted(chosen.batch, 200)}"] if chosen.batch else []),
            *([f"that moved within {in_words(chosen.since)}"] if chosen.since else []),
        ]
        return " ".join(["all flows", *parts])

    @property
    def _how(self) -> str:
        if self.what is What.EXTEND and self.deadline is not None:
            return f" until {_moment(self.deadline)}"
        return ", also if the secret may have arrived" if self.force else ""

    def stored(self) -> tuple[str, str]:
        """Return it as a job keeps it: its choice, and its arguments."""
        choice = {**asdict(self.choice), "uids": list(self.uids)}
        arguments = {"force": self.force, "deadline": self.deadline}
        return json.dumps(choice), json.dumps(arguments)

    @classmethod
    def of(cls, job: Job) -> Wish:
        """Return what a job is about. Raises Refused if another program has altered it."""
        from holdfast.core.documents import converter

        try:
            choice, arguments = json.loads(job.choice), json.loads(job.arguments)
            said = {"what": job.what, "uids": choice.pop("uids"), "choice": choice, **arguments}
            return converter.structure(said, cls)
        except Refused:
            raise
        except Exception:  # noqa: BLE001 - what a converter raises for what is not ours
            raise Refused("what is stored of this job is not ours") from None

    @property
    def opens(self) -> bool:
        """Whether the rule needs what flows show: whether a secret was sent is sealed."""
        return self.what is What.RETRY

    def why_not(self, row: FlowRow) -> str | None:
        """Say why it cannot be done to a flow, in words that follow its name."""
        rules: Mapping[What, Rule] = {
            What.RETRY: partial(why_not_retry, force=self.force),
            What.CANCEL: why_not_cancel,
            What.EXTEND: why_not_extend,
        }
        return rules[self.what](row)

    def work(self) -> Work:
        """Return what the journal is to do to each."""
        from holdfast.flows.requests import put_off
        from holdfast_journal import Ask, Change, Retry

        if self.what is What.RETRY:
            return Retry()
        if self.what is What.CANCEL:
            return Ask(CANCEL)
        deadline = self.deadline or 0.0
        return Change(with_deadline(deadline), put_off(deadline))


def begin(journal: SqlJournal, uid: str, wish: Wish, by: Actor) -> bool:
    """Write a job down. Return False if there is one of that uid: then this changes nothing.

    Raises AnotherJob if the other one is about something else.
    """
    choice, arguments = wish.stored()
    act = by.does("bulk", printable(wish.words, LONGEST_WORDS))
    if journal.jobs.make(uid, wish.what.value, choice, arguments, act):
        return True
    there = journal.jobs.find(uid)
    if there is None or (there.what, there.choice) != (wish.what.value, choice):
        raise AnotherJob("there is another job of that name")
    return False


@frozen
class Runner:
    """What carries jobs out, some flows at a time.

    Args:
        journal: where the jobs are.
        name: of this process: no other has it.
    """

    journal: SqlJournal
    name: str

    def work(self) -> bool:
        """Do the next part of the job that waits longest. Return False if there is nothing to do.

        Raises DatabaseUnusable: then it is to be called again later. Any other exception means that
        the job was given up.
        """
        job = self.journal.jobs.next(self.name)
        if job is None:
            return False
        try:
            self._go_on(job)
        except DatabaseUnusable:
            raise
        except (Refused, JournalError) as error:
            self.journal.jobs.fail(job.uid, self.name, str(error))
        except Exception as error:
            words = f"{type(error).__name__} inside Holdfast; the console's log says where"
            self.journal.jobs.fail(job.uid, self.name, words)
            raise
        return True

    def _go_on(self, job: Job) -> None:
        wish = Wish.of(job)
        if job.state == "new":
            self._plan(job, wish)
        else:
            self.journal.jobs.step(job.uid, self.name, wish.work(), _act(job, wish))

    def _plan(self, job: Job, wish: Wish) -> None:
        attempts: dict[int, int] = {}
        refused, notes = 0, list[str]()
        for some in pages(self.journal, wish.filter(job.created_at), opens=wish.opens):
            for row in some:
                if (why := wish.why_not(row)) is None:
                    attempts[row.id] = row.attempt
                    continue
                refused += 1
                if len(notes) < _NOTED:
                    notes.append(f"{row.batch}/{row.name} {why}")
            if not self.journal.jobs.keep(job.uid, self.name):
                return
        self.journal.jobs.plan(job.uid, self.name, attempts, refused, notes)


def _act(job: Job, wish: Wish) -> Act:
    detail = f"job {job.uid}"
    if wish.deadline is not None:
        detail = f"until {_moment(wish.deadline)}, {detail}"
    return job.by.does(wish.what.value, detail)


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%SZ}"


def foresee(journal: SqlJournal, wish: Wish, now: float) -> tuple[Sequence[FlowRow], int]:
    """Find the flows to which it could be done now, and count the others.

    Args:
        journal: where the flows are.
        wish: what is wanted.
        now: in seconds since the epoch.
    """
    able: list[FlowRow] = []
    others = 0
    for some in pages(journal, wish.filter(now), opens=wish.opens):
        found = [row for row in some if wish.why_not(row) is None]
        able += found
        others += len(some) - len(found)
    return able, others


def words_of(job: Job) -> str:
    """Say what a job is about, for people."""
    try:
        return Wish.of(job).words
    except Refused:
        return job.what
