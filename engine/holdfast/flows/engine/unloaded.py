"""Flows that this process cannot load.

If a flow cannot be loaded, the cause lies in this release, in a module of the user's, or in this
process, and not in the flow. What the flow is made of was sealed, so damage would have been noticed
before. So it stays as it is, and is given back with the reason: another worker can take it at once,
and this one leaves it alone for a while, longer each time. Meanwhile this worker takes no part in
sharing flows, or other workers would leave it those that it cannot run.
"""

from __future__ import annotations

from typing import Final

from attrs import define, field
from twisted.logger import Logger
from twisted.python.failure import Failure

from holdfast.errors import WormholeError
from holdfast.flows.engine.aside import end
from holdfast.flows.engine.trouble import place_of
from holdfast_journal import CANCEL, UNLOADED, FlowStatus, TakenFlow

FIRST_DELAY: Final = 2.0
"""Seconds until it is tried again for the first time; twice as many each time after that."""

LONGEST_DELAY: Final = 60.0
"""The most seconds between two tries: a waiting code must be visited before a server forgets it."""

FORGET_AFTER: Final = 300.0
"""Seconds after which a flow that has not come back is forgotten."""

TRIES_TO_CANCEL: Final = 5
"""After so many, within a minute, a flow is cancelled without being loaded; what it holds on the
mailbox server stays there until the server forgets it."""

_log = Logger()


@define
class Unloaded:
    """Remembers how often each flow could not be loaded here."""

    _tries: dict[int, int] = field(factory=dict, init=False)
    _until: dict[int, float] = field(factory=dict, init=False)
    """Until when each is left to others."""
    _shares: bool = field(default=True, init=False)
    """Whether this worker takes part in sharing, as far as the database was told."""

    def left_to_others(self, now: float) -> list[int]:
        """Return the flows that are not to be taken, by a clock that never jumps.

        A flow that has not come back for long is served elsewhere, or over, and is forgotten.
        """
        for flow in [flow for flow, until in self._until.items() if now - until > FORGET_AFTER]:
            del self._until[flow], self._tries[flow]
        return [flow for flow, until in self._until.items() if now < until]

    def sharing_changes(self) -> bool | None:
        """Return whether to share from now on, or None if that is as it was."""
        fit = not self._tries
        if fit == self._shares:
            return None
        self._shares = fit
        return fit

    def failed(self, taken: TakenFlow, failure: Failure, now: float) -> str | None:
        """Say once in the log that `taken` could not be loaded.

        Returns:
            What operators are told, without the words of an exception that may quote a secret; or
            None, if an operator asked for its end, which it has now.
        """
        error = failure.value
        reason = UNLOADED + (str(error) if isinstance(error, WormholeError) else place_of(failure))
        tries = self._tries[taken.id] = self._tries.get(taken.id, 0) + 1
        if taken.request == CANCEL and tries > TRIES_TO_CANCEL:
            end(taken, FlowStatus.CANCELLED, reason)
            self.loaded(taken)
            return None
        self._until[taken.id] = now + min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(tries - 1, 10))
        if tries == 1:
            _log.error(
                "flow {name} {reason}; it is left as it is, and tried again",
                name=taken.name,
                reason=reason,
            )
        return reason

    def loaded(self, taken: TakenFlow) -> bool:
        """Forget it; whether its row says still that it could not be loaded."""
        self._until.pop(taken.id, None)
        if self._tries.pop(taken.id, None):
            _log.info("flow {name} can be loaded again", name=taken.name)
        return (taken.trouble or "").startswith(UNLOADED)
