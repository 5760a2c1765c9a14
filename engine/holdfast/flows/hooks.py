"""Hooks: whom a flow tells of its code, its end, or its trouble.

They belong to the flow and not to its class, since an operator chooses them. What is told is a
detached task: it is asked for in the commit of the event, and stays until it is done, whatever
becomes of the flow. Its arguments are made once, so every try says the same, byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

from holdfast_journal import FlowStatus, TakenFlow

EventName: TypeAlias = Literal["code", "collected", "trouble"]

EVENTS: Final[tuple[EventName, ...]] = ("code", "collected", "trouble")
"""There is a code; the flow is done; something went wrong."""

Hooks: TypeAlias = Mapping[str, Sequence[str]]
"""For each event that is told, the words of a command; or one word, which is a URL."""

LONGEST_REASON: Final = 1000
"""Characters of a reason that are told: a peer may have said it."""

_TROUBLE: Final = frozenset(
    [
        FlowStatus.FAILED,
        FlowStatus.SCARED,
        FlowStatus.CROWDED,
        FlowStatus.CODE_LOST,
        FlowStatus.EXPIRED,
    ]
)


def event_of(verdict: FlowStatus) -> EventName | None:
    """Return the event that such an end is; None if nobody is told, as when it was cancelled."""
    if verdict is FlowStatus.DONE:
        return "collected"
    return "trouble" if verdict in _TROUBLE else None


def is_url(words: Sequence[str]) -> bool:
    """Whether a hook is a URL and not a command."""
    return len(words) == 1 and words[0].lower().startswith(("https://", "http://"))


def task_name(words: Sequence[str], event: str) -> str:
    """Return the name of the task that tells of an event."""
    return f"{'webhook' if is_url(words) else 'command'}-{event}"


def task_arguments(words: Sequence[str], message: Mapping[str, Any]) -> dict[str, Any]:
    """Return what that task is given; `{name}` in a command's words is the flow's name."""
    to = list(words)
    if not is_url(words):
        to = [each.replace("{name}", message["name"]) for each in words]
    return {"to": to, "body": json.dumps(dict(message))}


def message(
    event: str, taken: TakenFlow, status: str, reason: str, at: float, code: str | None = None
) -> dict[str, Any]:
    """Return what is told of an event: never a secret, and the code only when there is a new one.

    Args:
        event: its name.
        taken: the flow.
        status: how the flow stands now, as operators see it.
        reason: why, in words.
        at: when, in seconds since the epoch.
        code: the code, if that is the event.
    """
    told: dict[str, Any] = {
        "event": event,
        "flow": taken.uid,
        "name": taken.name,
        "batch": taken.batch,
        "kind": taken.kind,
        "attempt": taken.attempt,
        "status": status,
        "reason": reason[:LONGEST_REASON],
        "time": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
    }
    if code is not None:
        told["code"] = code
    return told
