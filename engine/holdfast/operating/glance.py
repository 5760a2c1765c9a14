"""How everything is, at a glance: what there is, what needs somebody, and what serves it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from holdfast.operating.choosing import WORDS
from holdfast.operating.collecting import COLLECTED
from holdfast.operating.standing import shown_word, went_badly
from holdfast.operating.summing import Summary, summary
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast_journal import SqlJournal, WorkerRow

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR


@frozen
class Need:
    """Something that an operator should look at.

    Args:
        number: how many there are.
        words: they follow the number.
        about: `flows` or `tasks`.
        choice: what chooses them there, by the names of the commands' options.
    """

    number: int
    words: str
    about: str
    choice: Mapping[str, str] = field(factory=dict)


@frozen
class Glance:
    """How everything is."""

    flows: Summary
    by_status: Mapping[str, int]
    """How many flows there are, by the word that operators see, in the order of a flow's life."""
    needs: Sequence[Need]
    collected: tuple[int, int]
    """What recipients have collected in the last hour, and in the last day."""
    workers: Sequence[WorkerRow]
    """Those that are alive, and those that are gone and still have flows."""
    notices: Mapping[int, str]
    """What workers have to say, by their ids."""
    cut_off: Mapping[str, int]
    """How many flows cannot reach their mailbox server, by the reason."""
    database: str
    """Its URL for people."""
    took: float
    """Seconds that it took to read all this."""


def glance(journal: SqlJournal, clock: Callable[[], float] = time.time) -> Glance:
    """Look at everything. Raises DatabaseUnusable."""
    from holdfast_journal import Filter, TaskFilter, TaskState

    began = time.monotonic()
    groups = journal.groups(Filter())
    found = summary(groups, journal)
    failing = journal.task_groups(TaskFilter(states=[TaskState.FAILING]))
    needs = [
        *_ended_badly(found.counts),
        Need(
            sum(each.troubled for each in groups) - found.unloaded,
            "stopped by an error of their own code, for now",
            "flows",
            {"status": "unfinished", "sort": "trouble"},
        ),
        Need(
            found.unloaded,
            "waiting for a worker that can load them",
            "flows",
            {"status": "unfinished", "sort": "trouble"},
        ),
        Need(sum(each.number for each in failing), "failing tasks", "tasks", {"state": "failing"}),
    ]
    now = clock()
    return Glance(
        flows=found,
        by_status={word: found.counts[word] for word in _in_order(found.counts)},
        needs=[each for each in needs if each.number > 0],
        collected=(_collected(journal, now - HOUR), _collected(journal, now - DAY)),
        workers=journal.serving(),
        notices=dict(journal.notices()),
        cut_off={
            heard.removeprefix("no server: "): number
            for heard, number in journal.last_heard("no-server").items()
        },
        database=journal.name,
        took=time.monotonic() - began,
    )


def _in_order(words: Collection[str]) -> Sequence[str]:
    known = list(WORDS)
    return sorted(words, key=lambda each: known.index(each) if each in known else len(known))


def _ended_badly(counts: Mapping[str, int]) -> Sequence[Need]:
    bad = [shown_word(each.value) for each in FlowStatus if went_badly(each.shown)]
    return [Need(counts[word], word, "flows", {"status": word}) for word in bad if counts.get(word)]


def _collected(journal: SqlJournal, since: float) -> int:
    from holdfast_journal import Filter

    done = Filter(statuses=[FlowStatus.DONE.value], kinds=COLLECTED, since=since, finished=True)
    return sum(each.number for each in journal.groups(done))
