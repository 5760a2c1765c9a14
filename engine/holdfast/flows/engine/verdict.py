"""How a flow ends: the words for that, and what becomes of its secrets."""

from __future__ import annotations

from typing import Final

from holdfast.errors import CodeLostError, CrowdedError, WrongPasswordError
from holdfast_journal import FlowStatus

SHREDDED: Final = (FlowStatus.DONE, FlowStatus.CANCELLED, FlowStatus.EXPIRED)
"""The verdicts after which a flow's secrets are not needed any more."""


def verdict_of(result: str | Exception, *, sent: bool) -> tuple[FlowStatus, str]:
    """Return the status, and the reason, for a flow that did not decide itself.

    Args:
        result: what its wormhole ended with.
        sent: whether a secret was sent already.
    """
    if isinstance(result, CodeLostError):
        return (
            FlowStatus.CODE_LOST,
            "the mailbox server has forgotten the code; a new one is needed",
        )
    if isinstance(result, CrowdedError):
        reason = "a third party entered the mailbox; a new code is needed"
        if sent:
            reason += ", if the other side has not received what was sent before"
        return FlowStatus.CROWDED, reason
    if isinstance(result, WrongPasswordError):
        return FlowStatus.SCARED, "the other side used a different code"
    if isinstance(result, Exception):
        return FlowStatus.FAILED, str(result)
    return FlowStatus.DONE, ""
