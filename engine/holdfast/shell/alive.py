"""The life and death of a wormhole: it is alive only once, and those that wait hear of its end.

If a document were resumed twice, two wormholes would say different things under one name. Other
processes cannot be asked; this one remembers which wormholes it has, while they are in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakValueDictionary

from holdfast.errors import AlreadyResumed

_alive: WeakValueDictionary[str, Life] = WeakValueDictionary()
"""The wormholes of this process, by their sides."""


class Life:
    """Whether a wormhole continues, and whether its connection is down.

    Raises:
        AlreadyResumed: a wormhole of that side is in this process.
    """

    # Thousands wait at once, and each of their objects counts.
    __slots__ = ("__weakref__", "_waiting", "failure", "is_over")

    def __init__(self, side: str) -> None:
        if side in _alive:
            raise AlreadyResumed
        _alive[side] = self
        self._waiting: tuple[Callable[[], object], ...] | None = ()
        self.is_over = False
        """Whether nothing happens any more: it has ended, or was abandoned."""
        self.failure: Exception | None = None
        """The application's own exception, of which `wormhole_closed` has not been told yet."""

    def abandon(self, side: str) -> None:
        """Let nothing happen any more; the document of that side may be resumed, also here."""
        self.is_over = True
        if _alive.get(side) is self:
            del _alive[side]

    def on_down(self, call: Callable[[], object]) -> None:
        """Have `call` called when the connection is down for good, or now if it is."""
        if self._waiting is None:
            call()
        else:
            self._waiting += (call,)

    def down(self, tell: Callable[[], object]) -> None:
        """The connection is down for good: call `tell`, once, and then what waits for that."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            tell()
            for call in waiting:
                call()
