"""How much is written and not yet gone: whether those who write must wait."""

from __future__ import annotations

from typing import Final

from holdfast.dilation.ledger import Ledger

WINDOW: Final = 16 * 1024 * 1024
"""Bytes that may be unacknowledged before producers are paused."""

UNSENT: Final = 1024 * 1024
"""Bytes that may wait for the connection before they are paused."""

STORED_WINDOW: Final = 32 * 1024 * 1024
"""The same for a wormhole that is stored, whose acknowledgements wait for a disk."""

STORED_UNSENT: Final = 8 * 1024 * 1024
"""The same for one whose records wait for a disk before they go: most of them are only planned."""

UNSENT_RECORDS: Final = 2_000
"""Records that may wait for the connection: short ones cost time, not memory."""

PAYLOAD: Final = 1024 * 1024
"""Bytes that may be written into each of its commits; a plan's are not."""


class Level:
    """Of the records in a ledger, which part waits.

    Args:
        ledger: has all that is not acknowledged.
        stored: whether they are written into each commit.
    """

    __slots__ = ("_ledger", "_stored", "_unsent", "_window", "number", "sent")

    def __init__(self, ledger: Ledger, *, stored: bool) -> None:
        self._ledger = ledger
        self._window = STORED_WINDOW if stored else WINDOW
        self._unsent = STORED_UNSENT if stored else UNSENT
        self._stored = stored
        self.sent = 0
        """How many of the unacknowledged bytes the connection was given."""
        self.number = ledger.acked
        """The highest number that it was given."""

    def nothing_sent(self) -> None:
        """The connection was given nothing that is not acknowledged."""
        self.sent = 0
        self.number = self._ledger.acked

    def is_full(self) -> bool:
        """Whether producers should write no more."""
        return self._is_above(1.0, 1.0, 1.0)

    def is_low(self) -> bool:
        """Whether they may go on."""
        # What is left of the payload then is written into commits once more.
        return not self._is_above(0.5, 0.75, 0.25)

    def _is_above(self, unsent: float, unacknowledged: float, payload: float) -> bool:
        """Whether anything is above this part of its limit."""
        kept, planned = self._ledger.unacked_bytes, self._ledger.planned_bytes
        return (
            kept - self.sent > self._unsent * unsent
            or self._ledger.next_out - self.number > UNSENT_RECORDS * unsent
            or kept > self._window * unacknowledged
            or (self._stored and kept - planned > PAYLOAD * payload)
        )
