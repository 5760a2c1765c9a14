"""Activities: what goes on outside the wormhole while a flow runs, such as a transfer.

A task is asked for once and has one result. An activity goes on, hears of every change, and may
report many times. The flow never starts or stops it: `Flow.activity` says what should be going on,
from the flow's state alone, and the engine sees to it, after each commit and after a restart alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from attrs import field, frozen
from twisted.internet.defer import Deferred

if TYPE_CHECKING:
    from holdfast.transit.keeping import Keeper


@frozen
class Wanted:
    """What should be going on.

    Args:
        kind: the name under which the activity is registered.
        details: whatever it needs; a value that can be compared with the one before.
    """

    kind: str
    details: Any = field(repr=False)


class Activity(Protocol):
    """Something that goes on for one flow, in the reactor's thread."""

    def wants(self, details: Any) -> None:
        """The flow wants this now, and that is durable. First called right after the beginning."""
        ...

    def stop(self) -> None:
        """End now, and report nothing more: it is not wanted any more, or not here."""
        ...

    def clear(self, details: Any, *, failed: bool) -> None:
        """The flow is over, and that is durable: end, and remove what only it would have used.

        Called instead of `stop`. If a process died before this was done, it is the first and only
        call of the next one's.

        Args:
            details: what was wanted when the flow ended.
            failed: whether the flow failed. If not, it was cancelled, has expired, or is done.
        """
        ...


class Session(Protocol):
    """What an activity is given by the engine."""

    @property
    def reactor(self) -> Any:
        """Twisted's reactor."""
        ...

    @property
    def tor(self) -> object:
        """What every connection must be made through, an object with `stream_via`; or None."""
        ...

    @property
    def keeper(self) -> Keeper | None:
        """What holds connections beyond the death of this process, if anything does."""
        ...

    @property
    def key(self) -> str:
        """32 hexadecimal digits that are the same in every life of this flow."""
        ...

    def in_thread(self, call: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Call `call`, which blocks, in a thread of its own."""
        ...

    def report(self, what: str, value: Any) -> Deferred[None]:
        """Tell the flow, whose method `KIND_WHAT(value)` is called in an entry of its history.

        Args:
            what: part of a method's name; it stands in the history.
            value: for the method alone.

        Returns:
            A Deferred that fires when that is durable; it never does if the flow is not run here
            any more.
        """
        ...

    def failed(self, error: BaseException) -> None:
        """The activity's own code raised: the flow is loaded again, later."""
        ...


Begin = Callable[[Session], Activity]

_kinds: dict[str, Begin] = {}


def activity(kind: str) -> Callable[[Begin], Begin]:
    """Register what begins activities of a kind.

    Raises:
        ValueError: this name is taken.
    """

    def register(begin: Begin) -> Begin:
        if kind in _kinds:
            raise ValueError(f"two activities are called {kind!r}")
        _kinds[kind] = begin
        return begin

    return register


def begins(kind: str) -> Begin:
    """Return what begins activities of this kind.

    Raises:
        LookupError: none is registered in this process.
    """
    if kind not in _kinds:
        raise LookupError(f"no activity called {kind!r} is known here")
    return _kinds[kind]


def kinds() -> tuple[str, ...]:
    """Return the names of all registered kinds of activities."""
    return tuple(_kinds)
