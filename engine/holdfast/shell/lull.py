"""`Lull`: what a server says and nobody waits for, until something else happens.

Everything that is heard by itself costs an entry, and the question what is to be said now. The echo
of our own message and the receipt for a nameplate lead to nothing while a wormhole is well; so they
are heard together with whatever comes next, or a little later. For the wormhole it is as if they
had been on their way for longer: if the process dies before, the server says them again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import define, field

from holdfast.clock import Clock

LONGEST: Final = 0.3
"""Seconds until they are heard if nothing else happens."""


@define(eq=False)
class Lull:
    """Calls those that wait for its end, with one timer for all."""

    _clock: Clock
    _waiting: list[Callable[[], object]] = field(factory=list, init=False)

    def at_end(self, call: Callable[[], object]) -> None:
        """Call `call`, at most so much later."""
        self._waiting.append(call)
        if len(self._waiting) == 1:
            self._clock.callLater(LONGEST, self._over)

    def _over(self) -> None:
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()
