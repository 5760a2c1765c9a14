"""What one event leaves behind, sealed and ready to be written."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import define, field, frozen
from sqlalchemy import Executable

from holdfast_journal.interface import Call
from holdfast_journal.records import Task

Parameters: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


@define(eq=False)
class Lease:
    """The right to write one flow, which lasts until somebody else takes it.

    For the thread that processes events, and for no other.
    """

    id: int
    uid: str
    epoch: int
    worker: int
    data_key: bytes = field(repr=False)
    pending: int = 0
    """Commits that were submitted and whose calls have not all been run."""
    lost: Exception | None = None


@frozen
class Entry:
    """One row of the history."""

    seq: int
    at: float
    kind: str
    heard: str
    said: str
    """A JSON list of strings."""
    event: bytes = field(repr=False)
    """Sealed."""


@frozen
class AddTask:
    """A task to be remembered; its arguments are sealed."""

    task: Task


@frozen
class DeferTask:
    """A task that failed and is to be tried again."""

    number: int
    due_at: float
    attempts: int
    error: str


@frozen
class FinishTask:
    """A task that is over."""

    number: int


TaskChange: TypeAlias = AddTask | DeferTask | FinishTask


@frozen
class Statement:
    """An application's own statement."""

    statement: Executable
    parameters: Parameters = field(repr=False)


@frozen
class State:
    """A flow's row after the event."""

    status: str
    finished_at: float | None
    shred: bool
    """Whether everything that is sealed goes at once."""
    shred_at: float | None
    """When it is to go, if it is kept for a while; seconds since the epoch."""
    checkpoint: bytes | None = field(repr=False)
    """Sealed; None if shredded."""
    published: bytes | None = field(repr=False)
    """Sealed; None if shredded."""


@define(eq=False)
class Commit:
    """One event's share of a transaction, and what happens afterwards."""

    lease: Lease
    base: int
    """The flow's seq before this."""
    seq: int
    """The flow's seq after this; equal to `base` if there is nothing to write."""
    at: float
    calls: Sequence[Call]
    refused: Callable[[Exception], None]
    state: State | None = None
    """None if there is nothing to write."""
    entries: Sequence[Entry] = ()
    tasks: Sequence[TaskChange] = ()
    statements: Sequence[Statement] = ()

    @property
    def size(self) -> int:
        """Bytes that it keeps in memory until it is written, more or less."""
        size = sum(len(e.heard) + len(e.said) + len(e.event) for e in self.entries)
        if self.state is not None:
            size += len(self.state.checkpoint or b"")
        return size
