"""The thread that works for a transfer, and its turn among those that send."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING, Any

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredSemaphore

from holdfast.flows.shipped.sharing import HERE
from holdfast.transfer.throttle import ITS_TURN

if TYPE_CHECKING:
    from holdfast.flows.activities import Session


@define(eq=False)
class TransferThread:
    """Calls in a thread what blocks; what sends waits for its turn.

    Args:
        session: of the transfer.
        idle: called whenever a thread has ended and work is to stop.
    """

    _session: Session
    _idle: Callable[[], None]
    stop: Event = field(factory=Event, init=False)
    """Set when whatever is in the thread should end soon."""
    _turn: Deferred[Any] | None = field(default=None, init=False)
    """While it waits for a place among those that send."""
    _threads: int = field(default=0, init=False)
    """How many work for us; one, or none."""

    @property
    def stops(self) -> bool:
        """Whether it is to stop."""
        return self.stop.is_set()

    @property
    def is_under_way(self) -> bool:
        """Whether a thread is at work."""
        return bool(self._threads)

    def end(self) -> None:
        """Let what is in a thread end."""
        self.stop.set()

    def leave_turn(self) -> None:
        """Do not wait for a place any longer: the Deferred of `in_turn` fails."""
        if self._turn is not None:
            self._turn.cancel()

    def in_thread(self, call: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Call `call` in a thread; the Deferred has its result."""
        self._threads += 1
        return self._session.in_thread(call, *args).addBoth(self._out_of_thread)

    def in_turn(self, call: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """The same, once there is a place among those that send."""
        turn = HERE.places.acquire()
        if not turn.called:
            self._turn = turn
            self._session.report("queued", ITS_TURN)
        return turn.addCallback(self._has_place, call, *args)

    def _has_place(
        self, places: DeferredSemaphore, call: Callable[..., Any], *args: Any
    ) -> Deferred[Any]:
        self._turn = None

        def leave(result: Any) -> Any:
            places.release()
            return result

        return self.in_thread(call, *args).addBoth(leave)

    def _out_of_thread(self, result: Any) -> Any:
        self._threads -= 1
        if self.stops:
            self._idle()
        return result
