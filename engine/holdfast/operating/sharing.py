"""What all transfers of this process share, as an operator wants it."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen


@frozen
class Limits:
    """How much moves at a time.

    Args:
        at_once: how many files are sent at the same time; None for what is usual.
        rate: bytes a second of all files together, in both directions; None for no limit.
    """

    at_once: int | None = None
    rate: int | None = None

    def obey(self, private: Path) -> None:
        """Have all transfers obey that begin from now on in this process.

        Args:
            private: the directory for its private files.
        """
        from twisted.internet.defer import DeferredSemaphore

        from holdfast.flows.shipped.sharing import AT_ONCE, HERE
        from holdfast.transfer.throttle import Throttle

        HERE.places = DeferredSemaphore(self.at_once or AT_ONCE)
        HERE.private = private
        HERE.throttle = None if self.rate is None else Throttle(self.rate)


NO_LIMITS = Limits()
