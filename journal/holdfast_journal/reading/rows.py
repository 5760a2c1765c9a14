"""What operators are shown, as values. Secrets are kept out of every repr."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import field, frozen

from holdfast_journal.interface import Published

if TYPE_CHECKING:
    from holdfast_journal.reading.following import Seen


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
    """None once the flow was shredded, and where it was not asked for."""
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
    """None if no worker owns the flow."""
    wake_at: float | None
    """Before this no worker takes the flow, unless something is asked of it. None: at any time."""
    failures: int
    """How often its own code failed recently."""
    trouble: str | None
    """Where it failed the last time."""
    deaths: int
    """How many workers in a row died soon after they had taken it."""
    watched: bool = False
    """Whether no worker owns the flow because a mailbox server watches for it."""


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
class HistoryPage:
    """Some entries of one flow, in order."""

    rows: Sequence[EntryRow]
    then: int | None
    """What to hand over to get the next page; None if this is the last one."""


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
class Changes:
    """What `poll` found: the flows that moved, and what to hand to the next `poll`."""

    rows: Sequence[FlowRow]
    seen: Seen
