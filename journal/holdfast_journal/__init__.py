"""A journal for event-driven programs: nothing leaves before it is durable.

`IJournal` is what a wormhole asks of a journal. `ImmediateJournal` keeps nothing,
`Journal(save_checkpoint)` keeps what its user keeps, and `SqlJournal` keeps many flows in one SQL
database. This package knows nothing of wormholes: what it stores is bytes under a name.

This is the face of the package. Others import from here, from `doctor` and `upkeep`, which are for
operators, and from `errors`; what lies deeper may move. What is not in `__all__` is for the engine
of `holdfast` alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from holdfast_journal.auditing.acts import Act as Act
from holdfast_journal.auditing.acts import Actor as Actor
from holdfast_journal.commits.values import Snapshot, Task
from holdfast_journal.errors import (
    AlreadyServed,
    CommitFailed,
    DatabaseAway,
    DatabaseUnusable,
    Fenced,
    JournalBroken,
    JournalError,
    JournalStopped,
    NewerSchema,
    NoSuchFlow,
    NotRetryable,
    OlderSchema,
    Shredded,
    Unreadable,
    WrongKey,
)
from holdfast_journal.interface import Call, History, IJournal, Published
from holdfast_journal.ownership.values import ExistingFlow, NewFlow, Started, TakenFlow
from holdfast_journal.ownership.values import Unfinished as Unfinished
from holdfast_journal.plain.checkpointed import Journal
from holdfast_journal.plain.immediate import ImmediateJournal
from holdfast_journal.reading.rows import Changes, EntryRow, Event, FlowRow, Worker
from holdfast_journal.reading.rows import HistoryPage as HistoryPage
from holdfast_journal.statuses import CANCEL as CANCEL
from holdfast_journal.statuses import CANCELLING as CANCELLING
from holdfast_journal.statuses import INTERRUPTED as INTERRUPTED
from holdfast_journal.statuses import UNLOADED as UNLOADED
from holdfast_journal.statuses import FlowStatus

if TYPE_CHECKING:
    from holdfast_journal.auditing.tokens import Token as Token
    from holdfast_journal.auditing.tokens import Tokens as Tokens
    from holdfast_journal.commits.boundaries import Reactor as Reactor
    from holdfast_journal.commits.flow import FlowJournal
    from holdfast_journal.commits.pressure import Pressure as Pressure
    from holdfast_journal.commits.values import Parameters as Parameters
    from holdfast_journal.distribution import install as install
    from holdfast_journal.keys.ring import KeyRing
    from holdfast_journal.ownership.detached import DetachedTask as DetachedTask
    from holdfast_journal.ownership.due import LONGEST_PAUSE as LONGEST_PAUSE
    from holdfast_journal.ownership.jobs import Jobs as Jobs
    from holdfast_journal.ownership.retrying import Retried as Retried
    from holdfast_journal.ownership.suspects import MOST_DEATHS as MOST_DEATHS
    from holdfast_journal.ownership.vitals import Vitals as Vitals
    from holdfast_journal.ownership.watching import Watcher as Watcher
    from holdfast_journal.ownership.work import Ask as Ask
    from holdfast_journal.ownership.work import Change as Change
    from holdfast_journal.ownership.work import Retry as Retry
    from holdfast_journal.ownership.work import Work as Work
    from holdfast_journal.reading.audits import Deed as Deed
    from holdfast_journal.reading.audits import Deeds as Deeds
    from holdfast_journal.reading.batches import BatchPage as BatchPage
    from holdfast_journal.reading.batches import BatchRow as BatchRow
    from holdfast_journal.reading.counting import Group as Group
    from holdfast_journal.reading.filtering import Filter as Filter
    from holdfast_journal.reading.following import Seen as Seen
    from holdfast_journal.reading.jobs import Job as Job
    from holdfast_journal.reading.jobs import JobPage as JobPage
    from holdfast_journal.reading.jobs import JobState as JobState
    from holdfast_journal.reading.paging import Cursor as Cursor
    from holdfast_journal.reading.paging import Page as Page
    from holdfast_journal.reading.paging import Sort as Sort
    from holdfast_journal.reading.serving import WorkerPage as WorkerPage
    from holdfast_journal.reading.serving import WorkerRow as WorkerRow
    from holdfast_journal.reading.standing import Standing as Standing
    from holdfast_journal.reading.tasks import TaskCursor as TaskCursor
    from holdfast_journal.reading.tasks import TaskFilter as TaskFilter
    from holdfast_journal.reading.tasks import TaskGroup as TaskGroup
    from holdfast_journal.reading.tasks import TaskPage as TaskPage
    from holdfast_journal.reading.tasks import TaskRow as TaskRow
    from holdfast_journal.reading.tasks import TaskState as TaskState
    from holdfast_journal.sql import SqlJournal
    from holdfast_journal.workers.clocks import boot_time as boot_time
    from holdfast_journal.workers.liveness import place_in as place_in

__all__ = [
    "AlreadyServed",
    "Call",
    "Changes",
    "CommitFailed",
    "DatabaseAway",
    "DatabaseUnusable",
    "EntryRow",
    "Event",
    "ExistingFlow",
    "Fenced",
    "FlowJournal",
    "FlowRow",
    "FlowStatus",
    "History",
    "IJournal",
    "ImmediateJournal",
    "Journal",
    "JournalBroken",
    "JournalError",
    "JournalStopped",
    "KeyRing",
    "NewFlow",
    "NewerSchema",
    "NoSuchFlow",
    "NotRetryable",
    "OlderSchema",
    "Published",
    "Shredded",
    "Snapshot",
    "SqlJournal",
    "Standing",
    "Started",
    "TakenFlow",
    "Task",
    "Unreadable",
    "Worker",
    "WrongKey",
]

# Loaded when first asked for: they bring SQLAlchemy and Twisted with them.
_LATER = {
    "Ask": "ownership.work",
    "Change": "ownership.work",
    "Job": "reading.jobs",
    "JobPage": "reading.jobs",
    "JobState": "reading.jobs",
    "Jobs": "ownership.jobs",
    "Retry": "ownership.work",
    "Work": "ownership.work",
    "BatchPage": "reading.batches",
    "BatchRow": "reading.batches",
    "Cursor": "reading.paging",
    "Deed": "reading.audits",
    "Deeds": "reading.audits",
    "DetachedTask": "ownership.detached",
    "Filter": "reading.filtering",
    "FlowJournal": "commits.flow",
    "Group": "reading.counting",
    "KeyRing": "keys.ring",
    "LONGEST_PAUSE": "ownership.due",
    "MOST_DEATHS": "ownership.suspects",
    "Page": "reading.paging",
    "Parameters": "commits.values",
    "Pressure": "commits.pressure",
    "Reactor": "commits.boundaries",
    "Retried": "ownership.retrying",
    "Seen": "reading.following",
    "Standing": "reading.standing",
    "Sort": "reading.paging",
    "SqlJournal": "sql",
    "Token": "auditing.tokens",
    "Tokens": "auditing.tokens",
    "Vitals": "ownership.vitals",
    "Watcher": "ownership.watching",
    "TaskCursor": "reading.tasks",
    "TaskFilter": "reading.tasks",
    "TaskGroup": "reading.tasks",
    "TaskPage": "reading.tasks",
    "TaskRow": "reading.tasks",
    "TaskState": "reading.tasks",
    "WorkerPage": "reading.serving",
    "WorkerRow": "reading.serving",
    "boot_time": "workers.clocks",
    "install": "distribution",
    "place_in": "workers.liveness",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
