"""A journal for event-driven programs: nothing leaves before it is durable.

`IJournal` is what a wormhole asks of a journal. `ImmediateJournal` keeps nothing,
`Journal(save_checkpoint)` keeps what its user keeps, and `SqlJournal` keeps many flows in one SQL
database. This package knows nothing of wormholes: what it stores is bytes under a name.
"""

from importlib import import_module
from typing import TYPE_CHECKING

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
from holdfast_journal.interface import Call, History, IJournal
from holdfast_journal.plain.checkpointed import Journal
from holdfast_journal.plain.immediate import ImmediateJournal
from holdfast_journal.reading.rows import (
    Changes,
    EntryRow,
    Event,
    ExistingFlow,
    FlowRow,
    NewFlow,
    Published,
    Snapshot,
    Started,
    TakenFlow,
    Task,
    Worker,
)

if TYPE_CHECKING:
    from holdfast_journal.commits.flow import FlowJournal
    from holdfast_journal.keys.sealing import KeyRing
    from holdfast_journal.sql import SqlJournal

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
    "Started",
    "TakenFlow",
    "Task",
    "Unreadable",
    "Worker",
    "WrongKey",
]

# Loaded when first asked for: they bring SQLAlchemy and Twisted with them.
_LATER = {
    "FlowJournal": "holdfast_journal.commits.flow",
    "KeyRing": "holdfast_journal.keys.sealing",
    "SqlJournal": "holdfast_journal.sql",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_LATER[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
