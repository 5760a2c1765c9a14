"""How much is written and not yet gone: whether those who write must wait."""

from __future__ import annotations

from typing import Final

from holdfast.dilation.ledger import Ledger

MOST_UNSENT: Final = 1024 * 1024
"""Bytes that wait for the connection before producers are paused."""

FEW_UNSENT: Final = 256 * 1024
"""Bytes at which they go on."""

WINDOW: Final = 8 * 1024 * 1024
"""Bytes that may be unacknowledged before producers are paused."""

STORED_WINDOW: Final = 2 * 1024 * 1024
"""The same if they are written into each commit."""


class Level:
    """Of the records in a ledger, which part waits.

    Args:
        ledger: has all that is not acknowledged.
        stored: whether they are written into each commit.
    """

    __slots__ = ("_ledger", "_window", "sent")

    def __init__(self, ledger: Ledger, *, stored: bool) -> None:
        self._ledger = ledger
        self._window = STORED_WINDOW if stored else WINDOW
        self.sent = 0
        """How many of the unacknowledged bytes the connection was given."""

    def is_full(self) -> bool:
        """Whether producers should write no more."""
        kept = self._ledger.unacked_bytes
        return kept - self.sent > MOST_UNSENT or kept > self._window

    def is_low(self) -> bool:
        """Whether they may go on."""
        kept = self._ledger.unacked_bytes
        return kept - self.sent < FEW_UNSENT and kept < self._window // 2
