"""Setting aside a flow that cannot be run, so that it keeps nobody from the others."""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

from holdfast.errors import WormholeError
from holdfast.flows import document
from holdfast_journal import Snapshot, TakenFlow

_log = Logger()


def set_aside(taken: TakenFlow, reason: str) -> None:
    """End a flow that cannot be run, with everything that it knows kept for `retry`."""
    _log.error("flow {name} is set aside: {reason}", name=taken.name, reason=reason)
    published: dict[str, Any] = {}
    try:
        if taken.checkpoint is not None:
            published = document.Checkpoint.from_bytes(taken.checkpoint).published
    except WormholeError:
        _log.error("flow {name}: its checkpoint cannot be read", name=taken.name)
    snapshot = Snapshot(
        status="failed",
        checkpoint=taken.checkpoint or b"",
        published={**published, "reason": reason},
        finished=True,
    )
    taken.journal.attach(lambda: snapshot)
    with taken.journal.process():
        taken.journal.record("aside", heard=f"engine: set aside: {reason}", said=(), event=b"")
