"""Setting aside a flow that cannot be run, so that it does not hold up the others."""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

from holdfast.errors import WormholeError
from holdfast.flows import document, hooks
from holdfast.flows.engine.detaching import LAST, detach, detached_number
from holdfast.flows.engine.verdict import SHREDDED
from holdfast_journal import FlowStatus, Snapshot, TakenFlow

_log = Logger()


def set_aside(taken: TakenFlow, reason: str, now: float) -> None:
    """End a flow that cannot be run, with everything that it knows kept for `retry`.

    `now` is in seconds since the epoch.
    """
    _log.error(
        "flow {name} failed for good: {reason}; 'holdfast retry' starts it again",
        name=taken.name,
        reason=reason,
    )
    end(taken, FlowStatus.FAILED, f"set aside: {reason}", shown=reason, tell_at=now)


def end(
    taken: TakenFlow,
    status: FlowStatus,
    reason: str,
    *,
    shown: str | None = None,
    tell_at: float | None = None,
) -> None:
    """End a flow without running it.

    Args:
        taken: the flow.
        status: as what it ends.
        reason: why, for its history.
        shown: what operators are shown as the reason, if that is something else.
        tell_at: the time of which its hooks are told, in seconds since the epoch; or None.
    """
    published: dict[str, Any] = {}
    try:
        if taken.checkpoint is not None:
            published = document.Checkpoint.from_bytes(taken.checkpoint).published
    except WormholeError:
        _log.error("flow {name}: its checkpoint cannot be read", name=taken.name)
    snapshot = Snapshot(
        status=status.value,
        checkpoint=taken.checkpoint or b"",
        published={**published, "reason": shown or reason},
        finished=True,
        shred=status in SHREDDED,
    )
    taken.journal.attach(lambda: snapshot)
    with taken.journal.process():
        taken.journal.record("aside", heard=f"engine: {reason}", said=(), event=b"")
        if tell_at is not None:
            _tell(taken, status, shown or reason, tell_at)


def _tell(taken: TakenFlow, status: FlowStatus, reason: str, now: float) -> None:
    """Tell whoever must know, as far as the flow can still say who that is."""
    event = hooks.event_of(status)
    try:
        words = document.Params.from_bytes(taken.params).hooks.get(event or "")
    except WormholeError:
        return
    if event is not None and words:
        told = hooks.message(event, taken, status.shown, reason, now)
        number = detached_number(taken.attempt, LAST)
        task = hooks.task_name(words, event)
        detach(taken, number, task, hooks.task_arguments(words, told), now)
