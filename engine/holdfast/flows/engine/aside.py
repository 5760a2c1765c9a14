"""Setting aside a flow that cannot be run, so that it does not hold up the others."""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

from holdfast.errors import WormholeError
from holdfast.flows import document
from holdfast.flows.engine.verdict import SHREDDED
from holdfast_journal import FlowStatus, Snapshot, TakenFlow

_log = Logger()


def set_aside(taken: TakenFlow, reason: str) -> None:
    """End a flow that cannot be run, with everything that it knows kept for `retry`."""
    _log.error(
        "flow {name} failed for good: {reason}; 'holdfast retry' starts it again",
        name=taken.name,
        reason=reason,
    )
    end(taken, FlowStatus.FAILED, f"set aside: {reason}", shown=reason)


def end(taken: TakenFlow, status: FlowStatus, reason: str, *, shown: str | None = None) -> None:
    """End a flow without running it; what operators are shown as its reason may differ."""
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
