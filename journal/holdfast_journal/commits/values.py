"""What one event leaves behind, until it is written.

A commit is made for every event, and thousands may wait. So these are plain classes, which are made
four times as fast as frozen ones. They consist of few objects, because the garbage collector looks
at each new one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from attrs import define, field, frozen
from attrs.validators import instance_of

from holdfast_journal.interface import Call, Published

if TYPE_CHECKING:
    from sqlalchemy import Executable

    from holdfast_journal.keys.sealer import Sealer

Parameters: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


@define(eq=False)
class Fence:
    """The right to write one flow, which lasts until another worker takes the flow.

    Only for the thread that processes events.
    """

    id: int
    epoch: int
    worker: int
    sealer: Sealer = field(repr=False)
    pending: int = 0
    """Commits that were submitted and whose calls have not all been run."""
    lost: Exception | None = None


@define(eq=False)
class Entry:
    """One row of the history."""

    seq: int
    at: float
    kind: str
    heard: str
    said: str
    """A JSON list of strings."""
    event: bytes = field(repr=False)
    """Plain."""


@frozen
class AddTask:
    """A task to be remembered; its arguments are sealed."""

    task: Task


@frozen
class DeferTask:
    """A task that is being tried, or failed and is to be tried again."""

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


@define(eq=False)
class State:
    """A flow's row after the event."""

    status: str
    finished_at: float | None
    shred: bool
    """Whether everything that is sealed goes at once."""
    shred_at: float | None
    """When it is to go, if it is kept for a while; seconds since the epoch."""
    checkpoint: bytes | None = field(repr=False)
    """Plain; None if shredded."""
    published: bytes | None = field(repr=False)
    """Sealed; None if shredded."""


class CommitOwner(Protocol):
    """What makes commits: the journal of a flow."""

    def refused(self, error: Exception) -> None:
        """Hear that a commit is lost, and all that come after it."""
        ...


@define(eq=False)
class Commit:
    """One event's share of a transaction, and what happens afterwards."""

    fence: Fence
    base: int
    """The flow's seq before this."""
    seq: int
    """The flow's seq after this; equal to `base` if there is nothing to write."""
    owner: CommitOwner = field(repr=False)
    at: float = 0.0
    state: State | None = None
    """None if there is nothing to write."""
    calls: list[Call] = field(factory=list)
    before: Sequence[Call] = ()
    """What the writer calls before it commits: it makes durable what this relies on."""
    called: int = 0
    """How many of them have been run."""
    entries: Sequence[Entry] = ()
    mentioned: Sequence[str] = ()
    """Words that the last of them gets beside its own."""
    tasks: Sequence[TaskChange] = ()
    statements: Sequence[Statement] = ()
    messages: Sequence[tuple[int, bytes]] = ()
    """Messages to be kept, plain, with their numbers."""
    comes_again: bool = False
    """Whether what led to it would come again if it were lost."""
    size: int = 0
    """Bytes that it keeps in memory until it is written, more or less."""


@frozen
class Snapshot:
    """A flow as it stands at the end of an event. Asked for once a commit."""

    status: str = field(validator=instance_of(str))
    checkpoint: bytes = field(repr=False, validator=instance_of(bytes))
    published: Published = field(repr=False, factory=dict)
    finished: bool = False
    shred: bool = False
    """Nothing of the flow is needed any more: delete its data key, parameters, checkpoint and
    published values, at once or after `SqlJournal.retain` seconds."""


@frozen
class Task:
    """Work that a flow asked for and that is not finished. `due_at` in seconds since the epoch."""

    number: int
    name: str
    arguments: bytes = field(repr=False)
    key: str
    due_at: float
    attempts: int = 0
    error: str = ""
