"""The flows that are started and taken, as values. Secrets are kept out of every repr."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import field, frozen
from attrs.validators import instance_of

from holdfast_journal.commits.values import Task
from holdfast_journal.interface import Published

if TYPE_CHECKING:
    from holdfast_journal.commits.flow import FlowJournal


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
    """How often its own code failed recently; see `SqlJournal.give_back_failed`."""
    trouble: str | None
    """Where it failed the last time."""
    deaths: int
    """How many workers in a row died soon after they had taken it; see `suspects`."""
    journal: FlowJournal = field(repr=False)


@frozen
class Unfinished:
    """How many flows are not finished, and not watched.

    Args:
        begun: those that have begun.
        new: those that have not.
        unowned: of `begun`, those that no worker runs now.
    """

    begun: int
    new: int
    unowned: int
