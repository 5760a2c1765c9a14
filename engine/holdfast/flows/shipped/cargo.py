"""What is carried over one connection, in a thread, and how that can end."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol

from attrs import field, frozen

from holdfast.transit.keys import Role
from holdfast.transit.wire import Wire

if TYPE_CHECKING:
    from holdfast.flows.shipped.carrying import Carrying


class CannotGoOn(Exception):
    """The transfer cannot go on, with no connection whatever; the words are for both sides."""


class MayHaveIt(CannotGoOn):
    """The same for a sender, and it is not known whether the recipient has everything."""


class Interrupted(Exception):
    """The connection broke, or the disk is full: another attempt may go further."""


class Misbehaved(Interrupted):
    """The peer, who has the key, said what nobody may say: another attempt would be the same."""


@frozen
class Line:
    """One connection, for the thread that uses it.

    Args:
        wire: the connection itself.
        key: the transit key.
        resumes: whether the peer is a Holdfast.
        stop: set when the thread is to end.
        moved: to be called with the bytes that have moved, from the thread.
        waits: to be called from the thread with the reason why nothing moves now.
        now: the reactor's seconds.
        pace: waits in the thread until so many bytes may move.
    """

    wire: Wire = field(repr=False)
    key: bytes = field(repr=False)
    resumes: bool
    stop: Event
    moved: Callable[[int], None] = field(repr=False)
    waits: Callable[[str], None] = field(repr=False)
    now: Callable[[], float] = field(repr=False)
    pace: Callable[[int], None] = field(default=lambda _: None, repr=False)


class Cargo(Protocol):
    """What is carried: the part of a role."""

    role: Role

    def carry(self, wanted: Any, line: Line) -> Any:
        """In the thread: carry everything, and return what `carried` needs.

        Raises:
            Interrupted: the connection broke, or the like.
            CannotGoOn: it is over.
        """
        ...

    def carried(self, carrying: Carrying, result: Any) -> None:
        """Everything was carried."""
        ...

    def left_behind(self, wanted: Any, reason: str) -> Any:
        """In the thread: there is no connection to a stock client, for that `reason`, nor will be.

        Return what `carried` needs if everything was carried before.

        Raises:
            CannotGoOn: the words say what the other side has.
        """
        ...

    def clear(self, wanted: Any, failed: bool) -> None:  # noqa: FBT001 - for a thread
        """In the thread: remove what is left of a transfer that is over."""
        ...
