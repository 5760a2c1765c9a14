"""Closing a dilated wormhole: every subchannel is closed, and the peer has a while to take it all.

Nothing in the protocol says good-bye; a peer learns from its subchannels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.error import ConnectionDone

from holdfast.clock import Clock
from holdfast.dilation.alarm import Alarm
from holdfast.dilation.channels import Channels
from holdfast.dilation.entries import Entries
from holdfast.dilation.traffic import Traffic

CLOSING_TIME: Final = 10.0
"""Seconds that the peer has to acknowledge everything."""


class Closing:
    """The end of one dilation.

    Args:
        clock: the time.
        entries: where protocols are told.
        channels: are closed.
        traffic: knows what has been acknowledged.
    """

    def __init__(
        self, clock: Clock, entries: Entries, channels: Channels, traffic: Traffic
    ) -> None:
        self._entries = entries
        self._channels = channels
        self._traffic = traffic
        self._alarm = Alarm(clock, self._finish)
        self._done: Callable[[], object] | None = None
        self._is_done = False

    def begin(self, done: Callable[[], object], *, hopeless: bool) -> None:
        """Close all subchannels; call `done` inside an entry, when that is done.

        Nobody is waited for if it is `hopeless`.
        """
        if self._done is None:
            self._done = done
            self._channels.close_all()
            self._alarm.set(0.0 if hopeless else CLOSING_TIME)
            self._entries.soon(self.look)

    def look(self) -> None:
        """Something has changed: perhaps that was all."""
        if self._alarm.is_set and self._channels.are_closed and self._traffic.sending.has_sent_all:
            self._alarm.set(0.0)

    def stop(self) -> bool:
        """Do nothing more; return whether everything was done."""
        self._alarm.clear()
        return self._is_done

    def _finish(self) -> None:
        self._entries.now(self._tell)

    def _tell(self) -> None:
        self._is_done = True
        self._channels.lose_all(ConnectionDone())
        if self._done is not None:
            self._done()
