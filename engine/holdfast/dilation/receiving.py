"""What comes in: records in order, each handed to its channel inside a journal entry, once.

What one or several reads bring shares an entry, whose commit is acknowledged. The socket is read no
more while enough for two entries waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from holdfast.dilation.alarm import Alarm
from holdfast.dilation.channels import Channels
from holdfast.dilation.entries import Entries, Host
from holdfast.dilation.errors import ProtocolError
from holdfast.dilation.ledger import MOST_HELD, Ledger, Opened, Received, Taken
from holdfast.dilation.link import Link
from holdfast.dilation.records import Close, Data, Open
from holdfast.dilation.untaken import Untaken

ENOUGH: Final = 512 * 1024
"""Bytes of records that are worth an entry."""

ENOUGH_STORED: Final = 2 * 1024 * 1024
"""The same if each entry waits for a disk."""

MOST_RECORDS: Final = 500
"""Records of one entry; then the reactor does something else."""

MOST_UNCOMMITTED: Final = 2
"""Entries of ours whose commits are under way, before the next has to wait."""

MOMENT: Final = 0.002
"""Seconds for which records wait for others that follow at once."""


class Receiving:
    """Takes records from one link after another.

    Args:
        ledger: knows what came before.
        host: has the time.
        entries: where records are taken.
        channels: get them.
        came_again: is called if the peer does not know what we have taken.
    """

    def __init__(
        self,
        ledger: Ledger,
        host: Host,
        entries: Entries,
        channels: Channels,
        came_again: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._host = host
        self._entries = entries
        self._channels = channels
        self._came_again = came_again
        self._delay = host.delay
        self._most = 1 if host.careful else MOST_RECORDS
        self._link: Link | None = None
        self._untaken = Untaken(ENOUGH_STORED if host.delay else ENOUGH)
        self._alarm = Alarm(host.clock, self.take)
        self._uncommitted = 0
        self._again = False
        """Whether something has come that had come before."""

    def begin(self, link: Link) -> None:
        """Records come from this link from now on."""
        self._link = link

    def end(self) -> None:
        """There is no link any more. What was not taken will come again."""
        self._link = None
        self._untaken.clear()
        self._alarm.clear()

    def add(self, record: Open | Data | Close) -> None:
        """This has come; if it is known already, there is nothing to be done or saved."""
        if record.seq <= self._ledger.highest_in:
            self._again = True
            return
        self._untaken.add(record)

    def added(self, *, more: bool) -> None:
        """That is all for now; `more` if others follow at once."""
        if self._again:
            self._again = False
            self._came_again()
        if not self._untaken:
            return
        if self._untaken.are_too_many and self._link is not None:
            self._link.pause()
        delay = self._delay or (MOMENT if more else 0.0)
        if self._untaken.are_enough or not delay:
            self._alarm.clear()
            self.take()
        elif not self._alarm.is_set:
            self._alarm.set(delay)

    def take(self) -> None:
        """Take what waits, in an entry, if that can be done now.

        While a commit is under way, whatever comes shares the next one.
        """
        if (
            self._untaken
            and not self._alarm.is_set
            and (not self._uncommitted or self._untaken.are_enough)
            and self._uncommitted < MOST_UNCOMMITTED
            and not self._is_blocked
        ):
            self._uncommitted += 1
            self._entries.now(self._take)

    @property
    def _is_blocked(self) -> bool:
        """Whether what comes next has to wait for the application.

        It may hold a little back, which is saved; but one record may be 64 MiB.
        """
        if self._ledger.held_bytes > MOST_HELD:
            return True
        record = self._untaken.first
        return (
            isinstance(record, Data)
            and len(record.data) > MOST_HELD
            and self._channels.holds(record.scid)
        )

    def _take(self) -> None:
        """Inside an entry."""
        self._host.later(self._committed)
        link, ledger, untaken = self._link, self._ledger, self._untaken
        for _ in range(self._most):
            # A protocol may let go of the whole wormhole.
            if not untaken or self._is_blocked:
                break
            try:
                taken = ledger.take(untaken.pop())
            except ProtocolError as error:
                if link is not None:
                    self._host.later(link.fail, str(error))
                untaken.clear()
                break
            if taken is not None:
                self._hand_over(taken)
        if link is not None and untaken.leave_room:
            link.resume()

    def _hand_over(self, taken: Taken) -> None:
        if isinstance(taken, Received):
            self._channels.received(taken)
        elif isinstance(taken, Opened):
            self._channels.opened(taken)
        else:
            self._channels.ended(taken)

    def _committed(self) -> None:
        self._uncommitted -= 1
        if self._untaken and not self._alarm.is_set:
            self._alarm.set(0.0)
