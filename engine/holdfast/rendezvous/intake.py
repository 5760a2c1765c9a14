"""Whether what servers say is handed on, or waits.

While nothing can be made durable nothing more should be taken in. A connection is read on for as
long as it brings nothing but pings, so that a wormhole that waits keeps its place at the server.
Its first message stays with the socket, which then reads no more: what follows waits in TCP and
with the server, and costs no memory here.
"""

from typing import Final, Protocol

from attrs import define, field
from twisted.logger import Logger

from holdfast.rendezvous.boundaries import Clock, Timer

AT_ONCE: Final = 50
"""Connections that go on in one turn of the reactor, so that others get their turn."""

_log = Logger()


class Keeper(Protocol):
    """Who keeps what it could not hand on."""

    def go_on(self) -> None:
        """Hand it on now, until the intake is paused again."""
        ...


@define(eq=False)
class Intake:
    """One for all connections that one journal holds up."""

    _clock: Clock
    _paused: bool = field(default=False, init=False)
    # In the order in which they came; the values mean nothing.
    _keepers: dict[Keeper, None] = field(factory=dict, init=False, repr=False)
    _timer: Timer | None = field(default=None, init=False, repr=False)

    @property
    def paused(self) -> bool:
        """Whether whatever comes now is to be kept."""
        return self._paused

    def pause(self) -> None:
        """Hand nothing on from now on."""
        self._paused = True

    def resume(self) -> None:
        """Hand on what was kept, beginning in the next turn, and then whatever comes."""
        self._paused = False
        self._arm()

    def keeps(self, keeper: Keeper) -> None:
        """Have `keeper` go on when it may."""
        self._keepers[keeper] = None
        self._arm()

    def forget(self, keeper: Keeper) -> None:
        """It has nothing any more."""
        self._keepers.pop(keeper, None)

    def _arm(self) -> None:
        if self._timer is None and self._keepers and not self._paused:
            self._timer = self._clock.callLater(0, self._go_on)

    def _go_on(self) -> None:
        self._timer = None
        for _ in range(AT_ONCE):
            # What one hands on may fill the journal again.
            if self._paused or not self._keepers:
                break
            keeper = next(iter(self._keepers))
            del self._keepers[keeper]
            try:
                keeper.go_on()
            except Exception:  # noqa: BLE001 - it is told, and the others go on
                _log.failure("A connection could not go on")
        self._arm()
