"""How a service comes to its end, and with what error."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from attrs import define, field

from holdfast.operating.refused import Refused, Stopped
from holdfast.operating.stopping import Stopping

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from holdfast_journal import JournalBroken


class Ending(Enum):
    """Why serving ended."""

    DONE = "done"
    TIME = "time"
    SIGNAL = "signal"


@define(eq=False)
class Course:
    """From the first turn of the reactor to its last, and why that was the last."""

    _reactor: Any
    asked_to_leave: bool = field(default=False, init=False)
    """Whether an operator wanted this worker to end."""
    error: Stopped | None = field(default=None, init=False)
    """What went wrong, if anything did."""
    ending: Ending = field(default=Ending.SIGNAL, init=False)
    _stopping: Stopping = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._stopping = Stopping(self._reactor)

    def begin(self) -> None:
        """End at signals from now on; call it in the running reactor."""
        self._stopping.heed_signals()

    def end(self, ending: Ending) -> None:
        """Stop the reactor."""
        self.ending = ending
        if self._reactor.running:
            self._stopping.stop()

    def fail(self, failure: Failure) -> None:
        """End because of an error, which is logged if it is one of ours."""
        from twisted.logger import Logger

        from holdfast_journal import JournalError

        if isinstance(failure.value, Refused):
            # This error came after something was started.
            self.error = Stopped(failure.value.words)
        elif failure.check(JournalError):
            self.error = Stopped(failure.getErrorMessage())
        else:
            kind = failure.type.__name__ if failure.type is not None else "an error"
            self.error = Stopped(f"{kind} inside Holdfast; nothing is lost, start again")
            Logger().failure("The command failed", failure)
        self.end(Ending.DONE)

    def break_off(self, error: JournalBroken) -> None:
        """End because the journal did."""
        self.error = Stopped(f"{error}; start again to continue from what is on the disk")
        self.end(Ending.DONE)
