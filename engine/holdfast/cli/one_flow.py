"""How `send` and `receive` report the end of their flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.cli.failure import Interrupted, Unfinished
from holdfast.operating.ending import Ending
from holdfast.operating.printable import printable
from holdfast.operating.standing import shown_word
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast_journal import FlowRow


def finish(
    row: FlowRow | None, ending: Ending, then: str = "start again for a new exchange"
) -> None:
    """Return if the flow ended well.

    Args:
        row: the flow as it was seen last.
        ending: why the command ends.
        then: what to do if the flow ended badly.

    Raises:
        Interrupted, Unfinished: it did not.
    """
    if row is not None and row.finished_at is not None:
        if row.status == FlowStatus.DONE:
            return
        reason = (row.published or {}).get("reason")
        because = f": {printable(str(reason), 500)}" if reason else ""
        # If a transfer cannot go on, its flow has said already what to do.
        advice = "" if "new code" in because else f"; {then}"
        raise Unfinished(f"it ended as {shown_word(row.status)}{because}{advice}")
    if ending is Ending.SIGNAL:
        raise Interrupted("stopped; nothing is lost: start the same command again to continue")
    raise Unfinished("the time is over; start the same command again to continue")
