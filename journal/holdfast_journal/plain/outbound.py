"""Running outbound calls in the order in which they were queued."""

from collections.abc import Iterable

from attrs import define, field

from holdfast_journal.interface import Call


@define
class Outbox:
    """A first-in, first-out queue of calls that may themselves queue more.

    A call that queues others while it runs does not run them inside itself: they take their place
    at the end. A call that raises does not keep the others from running: what it stood for is
    durable, and theirs is too. The errors are raised when all have run.
    """

    _waiting: list[Call] = field(factory=list, init=False)
    _running: bool = field(default=False, init=False)

    def run(self, calls: Iterable[Call]) -> None:
        """Run `calls` behind whatever waits already.

        Raises what a call raised, or an ExceptionGroup if several did.
        """
        self._waiting.extend(calls)
        if self._running:
            return
        errors: list[Exception] = []
        self._running = True
        try:
            while self._waiting:
                now, self._waiting = self._waiting, []
                for call in now:
                    try:
                        call()
                    except Exception as error:  # noqa: BLE001  raised below
                        errors.append(error)
        finally:
            self._running = False
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup("outbound calls failed", errors)
