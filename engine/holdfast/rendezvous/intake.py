"""Whether what servers say is handed on, or waits.

While nothing can be made durable, nothing more should be accepted. A connection is still read
while it brings only pings, so that a waiting wormhole stays connected. Its first message
stays with the socket, which then stops reading: what follows waits in TCP and on the server, and
costs no memory here.
"""

from typing import Final, Protocol

from attrs import define, field
from twisted.logger import Logger

from holdfast.rendezvous.boundaries import Clock, Timer

RESUMED_AT_ONCE: Final = 50
"""Connections that continue in one turn of the reactor, so that other work gets its turn."""

_log = Logger()


class PausedReader(Protocol):
    """A socket that keeps what it could not hand on."""

    def go_on(self) -> None:
        """Hand on what was kept, until the intake is paused again."""
        ...


@define(eq=False)
class Intake:
    """The intake of all connections of one journal."""

    _clock: Clock
    _paused: bool = field(default=False, init=False)
    # In the order in which they came; the values mean nothing.
    _readers: dict[PausedReader, None] = field(factory=dict, init=False, repr=False)
    _timer: Timer | None = field(default=None, init=False, repr=False)

    @property
    def paused(self) -> bool:
        """Whether what arrives now must be kept."""
        return self._paused

    def pause(self) -> None:
        """Hand nothing on from now on."""
        self._paused = True

    def resume(self) -> None:
        """Hand on what was kept, starting in the next turn, and then what arrives."""
        self._paused = False
        self._arm()

    def keeps(self, reader: PausedReader) -> None:
        """Have `reader` continue when it may."""
        self._readers[reader] = None
        self._arm()

    def forget(self, reader: PausedReader) -> None:
        """It has nothing any more."""
        self._readers.pop(reader, None)

    def _arm(self) -> None:
        if self._timer is None and self._readers and not self._paused:
            self._timer = self._clock.callLater(0, self._go_on)

    def _go_on(self) -> None:
        self._timer = None
        for _ in range(RESUMED_AT_ONCE):
            # What one of them hands on may fill the journal again.
            if self._paused or not self._readers:
                break
            reader = next(iter(self._readers))
            del self._readers[reader]
            try:
                reader.go_on()
            except Exception:  # noqa: BLE001 - it is logged, and the others continue
                _log.failure("A connection could not go on")
        self._arm()
