"""Which tasks an operator means, and how they stand, in words for people."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import field, frozen

from holdfast.operating.choosing import Choice

if TYPE_CHECKING:
    from holdfast_journal import TaskFilter, TaskGroup, TaskRow

STATES = ("failing", "running", "pending")
"""The words by which tasks can be chosen."""

INTERRUPTED = "interrupted"
"""The word for a task whose worker has ended during a try."""


@frozen
class TaskChoice:
    """What an operator says of the tasks that they mean. An empty value says nothing.

    Args:
        flows: whose tasks.
        tasks: the names of tasks.
        states: words of STATES.
    """

    flows: Choice = field(factory=Choice)
    tasks: Sequence[str] = ()
    states: Sequence[str] = ()

    @property
    def says_anything(self) -> bool:
        """Whether it chooses some of all tasks."""
        return self != TaskChoice()

    def filter(self) -> TaskFilter:
        """Return what the database is asked. Raises `Refused` for a status that there is not."""
        from holdfast_journal import TaskFilter, TaskState

        return TaskFilter(
            flows=self.flows.filter(),
            names=self.tasks or None,
            states=[TaskState(each) for each in self.states] or None,
        )


def shown_state(row: TaskRow) -> str:
    """Return how a task stands, as operators should see it."""
    from holdfast_journal import TaskState

    running = row.state is TaskState.RUNNING
    return INTERRUPTED if running and not _has_worker(row) else row.state.value


def next_try(row: TaskRow) -> float | None:
    """Return when it is tried next, in seconds since the epoch; None while a try is under way."""
    from holdfast_journal import TaskState

    return None if row.state is TaskState.RUNNING and _has_worker(row) else row.due_at


def _has_worker(row: TaskRow) -> bool:
    """Whether there is a worker for its try."""
    if row.number > 0:
        return bool(row.flow.owner_alive)
    # One that outlives its flow is claimed by whichever worker until then.
    return row.due_at > time.time()


def counts(groups: Sequence[TaskGroup]) -> Mapping[str, int]:
    """Return how many tasks there are in each state."""
    found = Counter[str]()
    for each in groups:
        found[each.state.value] += each.number
    return found
