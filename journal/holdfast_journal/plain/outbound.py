"""Running outbound calls in the order in which they were queued."""

from collections.abc import Iterable

from attrs import define, field

from holdfast_journal.interface import Call


@define
class CallQueue:
    """A first-in, first-out queue of calls that may themselves queue more.

    Calls that are queued while another call runs do not run inside it: they go to the end of the
    queue. A call that raises does not keep the others from running, because the events behind all
    of them are durable. The errors are raised when all calls have run.
    """

    _waiting: list[Call] = field(factory=list, init=False)
    _running: bool = field(default=False, init=False)

    def run(self, calls: Iterable[Call]) -> None:
        """Run `calls` after those that are waiting already.

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
