"""Who can be cancelled, retried or given another deadline: the same on every screen.

Each rule says why not, in words that follow the name of the flow; None if nothing is in the way.
"""

from typing import TYPE_CHECKING, Final

from holdfast.operating.standing import shown_word
from holdfast_journal import CANCEL, FlowStatus

if TYPE_CHECKING:
    from holdfast_journal import FlowRow

_WHY_SHREDDED: Final = {
    FlowStatus.CANCELLED.value: "was cancelled",
    FlowStatus.EXPIRED.value: "expired",
}


def why_not_cancel(row: "FlowRow") -> str | None:
    """Say why a flow cannot be cancelled."""
    if row.finished_at is not None:
        return f"has ended already ({shown_word(row.status)})"
    return None


def why_not_retry(row: "FlowRow", *, force: bool = False) -> str | None:
    """Say why a flow cannot be retried, or must not be without `force`.

    What the flow shows must have been opened.
    """
    if row.finished_at is None:
        return f"is still running ({shown_word(row.status)}); 'holdfast cancel' ends it"
    if (why := _WHY_SHREDDED.get(row.status)) is not None:
        return (
            f"{why}, which made its secret unreadable; to start it again, give it another name or"
            " another --batch"
        )
    if row.status == FlowStatus.DONE:
        return "went well (done); there is nothing to retry"
    if row.published is None:
        return "has no parameters any more: they were shredded or purged"
    if row.published.get("sent") and not force:
        return (
            "may have the secret already: it was sent, and its receipt was never confirmed; ask,"
            " and use --force to send it once more"
        )
    return None


def why_not_extend(row: "FlowRow") -> str | None:
    """Say why a flow cannot be given another deadline. One that can be retried can have one."""
    if row.request == CANCEL:
        return "was asked to end"
    if row.status in _WHY_SHREDDED or row.status == FlowStatus.DONE:
        return f"has ended ({shown_word(row.status)}), and needs no deadline"
    return None
