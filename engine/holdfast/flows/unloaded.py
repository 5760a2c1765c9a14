"""Flows that this process cannot load.

Whatever keeps a flow from being loaded is trouble of this release, of a module of the user's, or
of this process; it is not the flow's.  What the flow is made of was sealed, so damage would have
been noticed before.  So it stays as it is, and is given back with the reason: another worker may
be able to load it, or this one may later.
"""

from __future__ import annotations

from typing import Final

from attrs import define, field
from twisted.logger import Logger
from twisted.python.failure import Failure

from holdfast.errors import WormholeError
from holdfast.flows.aside import end
from holdfast.flows.trouble import place_of
from holdfast_journal import TakenFlow
from holdfast_journal.records import UNLOADED

FIRST_DELAY: Final = 2.0
"""Seconds until it is tried again for the first time; twice as many each time after that."""

LONGEST_DELAY: Final = 60.0
"""Seconds between two tries at most: a code that waits must be visited before a server forgets."""

TRIES_TO_CANCEL: Final = 5
"""After so many, within a minute, a flow is cancelled without being loaded; what it holds on the
mailbox server stays there until the server forgets it."""

_log = Logger()


@define
class Unloaded:
    """Remembers how often each flow could not be loaded here."""

    _tries: dict[int, int] = field(factory=dict, init=False)

    def failed(self, taken: TakenFlow, failure: Failure) -> tuple[str, float] | None:
        """Say once in the log that *taken* could not be loaded.

        Returns:
            What operators are told, without the words of an exception that may quote a secret, and
            the seconds until it should be tried again; or None, if an operator asked for its end,
            which it has now.
        """
        error = failure.value
        reason = UNLOADED + (str(error) if isinstance(error, WormholeError) else place_of(failure))
        tries = self._tries[taken.id] = self._tries.get(taken.id, 0) + 1
        if taken.request == "cancel" and tries > TRIES_TO_CANCEL:
            end(taken, "cancelled", reason)
            return None
        if tries == 1:
            _log.error(
                "flow {name} {reason}; it is left as it is, and tried again",
                name=taken.name,
                reason=reason,
            )
        return reason, min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(tries - 1, 10))

    def loaded(self, taken: TakenFlow) -> bool:
        """Forget it; whether its row says still that it could not be loaded."""
        if self._tries.pop(taken.id, None):
            _log.info("flow {name} can be loaded again", name=taken.name)
        return (taken.trouble or "").startswith(UNLOADED)
