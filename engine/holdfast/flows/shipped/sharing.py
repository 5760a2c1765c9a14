"""What all transfers of one process share: how many, how fast together, and private files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from attrs import define, field
from twisted.internet.defer import DeferredSemaphore

from holdfast.transfer.throttle import Throttle

AT_ONCE: Final = 100
"""How many senders move bytes at once, unless somebody says otherwise: each has a thread, with
buffers of 400 kB."""


@define(eq=False)
class Shared:
    """What this process gives to its transfers.

    A sender waits for its place with its connection made: no stock client has a timer then
    (transit.md has none). Receivers need no place, or two flows of one process could wait for each
    other.

    Args:
        places: of those that send.
        throttle: of all that move; None for as fast as they can.
        private: the directory of `holdfast.flows.shipped.private`; None if there is none.
    """

    places: DeferredSemaphore = field(factory=lambda: DeferredSemaphore(AT_ONCE))
    throttle: Throttle | None = None
    private: Path | None = None


HERE: Final = Shared()
"""Of this process; a command sets it before it runs flows."""
