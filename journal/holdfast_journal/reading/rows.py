"""The values that go into an SqlJournal and come out of it.

Secrets (`params`, `checkpoint`, `arguments`, `published`) are kept out of every repr.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from attrs import field, frozen
from attrs.validators import instance_of

if TYPE_CHECKING:
    from holdfast_journal.commits.flow import FlowJournal
    from holdfast_journal.reading.following import Seen

Published: TypeAlias = Mapping[str, str | int | float | None]
"""What a flow shows to its operators, such as its code. Sealed at rest all the same."""


UNLOADED = "cannot be loaded: "
"""How the trouble of a flow begins that no fault of its own keeps from being run."""


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
class NewFlow:
    """A flow to be started. `name` is unique within its batch."""

    name: str
    kind: str
    params: bytes = field(repr=False, validator=instance_of(bytes))
    fingerprint: str | None = None
    """Tells whether the same name comes with the same parameters; see `SqlJournal.fingerprint`."""
    published: Published = field(repr=False, factory=dict)


@frozen
class ExistingFlow:
    """A flow that was there already when it was to be started."""

    id: int
    name: str
    kind: str
    status: str
    finished: bool
    fingerprint: str | None
    attempt: int


@frozen
class Started:
    """What `start_flows` did: the names that are new, and the flows that were there already."""

    started: Sequence[str]
    existing: Sequence[ExistingFlow]


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


@frozen
class TakenFlow:
    """A flow that this worker owns from now on, with everything needed to run it."""

    id: int
    uid: str
    batch: str
    name: str
    kind: str
    params: bytes = field(repr=False)
    checkpoint: bytes | None = field(repr=False)
    """None for a flow that has not had its first event in this attempt."""
    updated_at: float
    """When its last entry was made, in seconds since the epoch."""
    status: str
    seq: int
    epoch: int
    attempt: int
    request: str | None
    tasks: Sequence[Task]
    failures: int
    """How often its own code failed of late; see `SqlJournal.give_back_failed`."""
    trouble: str | None
    """Where it failed the last time."""
    deaths: int
    """How many workers in a row died soon after they had taken it; see `suspects`."""
    journal: FlowJournal = field(repr=False)


@frozen
class FlowRow:
    """A flow as its operators see it. Times in seconds since the epoch."""

    id: int
    uid: str
    batch: str
    name: str
    kind: str
    status: str
    published: Published | None = field(repr=False)
    """None once the flow was shredded."""
    created_at: float
    updated_at: float
    finished_at: float | None
    attempt: int
    seq: int
    request: str | None
    owner: int | None
    owner_host: str | None
    owner_pid: int | None
    owner_alive: bool | None
    """None if nobody owns the flow."""
    wake_at: float | None
    """Before this no worker takes the flow, unless something is asked of it. None: at any time."""
    failures: int
    """How often its own code failed of late."""
    trouble: str | None
    """Where it failed the last time."""
    deaths: int
    """How many workers in a row died soon after they had taken it."""


@frozen
class EntryRow:
    """One line of a flow's history. The event itself stays sealed."""

    seq: int
    at: float
    worker: int | None
    kind: str
    heard: str
    said: Sequence[str]


@frozen
class Event:
    """One recorded event, opened: for replaying the core, never for a log."""

    seq: int
    kind: str
    event: bytes = field(repr=False)


@frozen
class Worker:
    """One process that has run flows of this database, dead or alive."""

    id: int
    host: str
    pid: int
    started_at: float
    alive: bool


@frozen
class Unfinished:
    """How many flows are not finished.

    Args:
        begun: those that have begun.
        new: those that have not.
        unowned: of those that have begun, the ones that nobody runs now.
    """

    begun: int
    new: int
    unowned: int


@frozen
class Changes:
    """What `poll` found: the flows that moved, and what to hand to the next `poll`."""

    rows: Sequence[FlowRow]
    seen: Seen
