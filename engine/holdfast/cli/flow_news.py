"""What services say when a flow has another status, the same for programs in all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.cli import say
from holdfast.operating.printable import printable
from holdfast.operating.standing import shown_word, went_badly, wrong_guesses

if TYPE_CHECKING:
    from holdfast_journal import FlowRow


def status_and_reason(row: FlowRow) -> str:
    """Return the status of a flow for people, and why, if it says why."""
    reason = (row.published or {}).get("reason")
    return shown_word(row.status) + (f" ({printable(str(reason), 200)})" if reason else "")


def tell_flow(row: FlowRow, message: str, *, shown: str | None = None, out: bool = False) -> None:
    """Say a flow's news; `shown` and `out` are those of `say.log`."""
    status = shown_word(row.status)
    reason, guesses = (row.published or {}).get("reason"), wrong_guesses(row)
    say.log(
        "flow",
        message,
        level="warning" if went_badly(status) else "info",
        shown=shown,
        out=out,
        keys={
            "batch": row.batch,
            "name": row.name,
            "uid": row.uid,
            "kind": row.kind,
            "status": status,
            "reason": None if reason is None else printable(str(reason), 200),
            "guesses": guesses,
        },
    )
