"""Asking for a detached task: its number and its key, which are the same whatever happens later."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from holdfast_journal import TakenFlow

PER_ATTEMPT: Final = 100_000
"""How many numbers each attempt of a flow has."""

LAST: Final = PER_ATTEMPT - 1
"""The count of the one that tells that the flow was set aside, whose own count may be lost."""


def detached_number(attempt: int, count: int) -> int:
    """Return the number of an attempt's detached task; no other of this flow ever has it.

    Raises:
        ValueError: there were too many.
    """
    if not 0 < count < PER_ATTEMPT:
        raise ValueError(f"a flow can ask for at most {LAST:,} detached tasks")
    return -(attempt * PER_ATTEMPT + count)


def key_of(taken: TakenFlow, number: int) -> str:
    """Return its idempotency key."""
    return hashlib.sha256(f"{taken.uid}/detached/{number}".encode()).hexdigest()[:32]


def detach(taken: TakenFlow, number: int, task: str, arguments: dict[str, Any], now: float) -> None:
    """Ask for it in the flow's open entry, or in an entry of its own."""
    key = key_of(taken, number)
    with taken.journal.process():
        taken.journal.mention(f"task {task}: asked for")
        taken.journal.detach_task(number, task, json.dumps(arguments).encode(), key, now)
