"""What goes out: records that are durable, in order, as fast as the connection takes them.

Stock acknowledges each record, and has no window; so nothing waits for an acknowledgement, except
producers, so that what is kept until then has a limit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from holdfast.clock import Clock
from holdfast.dilation import records
from holdfast.dilation.alarm import Alarm
from holdfast.dilation.ledger import OVERHEAD, Ledger, Planned
from holdfast.dilation.level import Level
from holdfast.dilation.link import Link
from holdfast.dilation.records import ACK, DATA, HEAD, NUMBER, Data, Open, Ping, Pong

SLICE: Final = 256 * 1024
"""Bytes that are encrypted at once."""

MOST_PONGS: Final = 16
"""Answers to pings that wait while the socket is full."""

FIRST_LOOK: Final = 0.3
"""Seconds after which a new link is looked at; each later time it takes twice as long."""

LONGEST_LOOK: Final = 10.0
"""Seconds between two looks at most. If nothing has happened since the last one, the last record is
sent again.

A stock follower does not acknowledge what comes in one piece with the leader's KCM; it always
acknowledges what comes again, and what comes later."""


class Sending:
    """Writes to one link after another.

    Args:
        ledger: what is to be sent. All that is in it at first is durable.
        clock: the time.
        make: makes the bytes of a record of a plan; None if that cannot be done yet.
        level: is told what the link was given.
        relieved: is called when there is room for producers.
    """

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        make: Callable[[Planned], bytes | None],
        level: Level,
        relieved: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._make = make
        self._level = level
        self._relieved = relieved
        self._link: Link | None = None
        self._durable = ledger.next_out - 1
        """The highest number that may leave."""
        self._taken = ledger.highest_in
        """The highest number that may be acknowledged."""
        self._owed: deque[bytes] = deque(maxlen=MOST_PONGS)
        """Answers that wait for room; the oldest go if there are too many."""
        self._owes_ack = False
        self._watch = Watch(clock, self._progress, self._send_last_again)

    @property
    def has_sent_all(self) -> bool:
        """Whether the peer has acknowledged everything."""
        return self._ledger.acked == self._ledger.next_out - 1

    def begin(self, link: Link) -> None:
        """Use this link from now on, and send what is not acknowledged."""
        self._link = link
        self._level.nothing_sent()
        self._owed.clear()
        self._owes_ack = False
        self.send()
        self._watch.begin()

    def end(self) -> None:
        """There is no link any more."""
        self._link = None
        self._level.nothing_sent()
        self._watch.end()

    def committed(self, out: int, taken: int) -> None:
        """The records up to `out` are durable, and the effects of those that came up to `taken`."""
        self._durable = max(self._durable, out)
        if taken > self._taken:
            self._taken = taken
            self._owes_ack = True
        self.send()

    def owe_ack(self) -> None:
        """Something came again: tell the peer where we are, with what is sent next."""
        self._owes_ack = self._taken >= 0

    def reply(self, record: Ping | Pong) -> None:
        """Send this before other records."""
        self._owed.append(records.write(record))
        self.send()

    def acknowledged(self, seq: int) -> None:
        """The peer has everything up to this number."""
        ledger, level = self._ledger, self._level
        kept = ledger.unacked_bytes
        ledger.acknowledged(seq)
        if ledger.acked >= level.number:
            level.nothing_sent()
        else:
            level.sent -= kept - ledger.unacked_bytes
        self._relieve()

    def send(self) -> None:
        """Give the link as much as it takes."""
        link = self._link
        while link is not None and link.room:
            plaintexts = self._next()
            if not plaintexts:
                break
            link.send(plaintexts)
        self._relieve()

    def _relieve(self) -> None:
        if self._level.is_low():
            self._relieved()

    def _next(self) -> list[bytes]:
        """The next few records."""
        plaintexts: list[bytes] = list(self._owed)
        self._owed.clear()
        if self._owes_ack:
            self._owes_ack = False
            plaintexts.append(NUMBER.pack(ACK, self._taken))
        size, level = 0, self._level
        for record in self._ledger.outgoing(level.number):
            if record.seq > self._durable or size >= SLICE:
                break
            if isinstance(record, Data):
                plaintext = HEAD.pack(DATA, record.scid, record.seq) + record.data
                counts = len(record.data)
            elif isinstance(record, Planned):
                made = self._make(record)
                if made is None:
                    break
                plaintext = HEAD.pack(DATA, record.scid, record.seq) + made
                counts = record.size
            else:
                plaintext = records.write(record)
                counts = len(record.name) if isinstance(record, Open) else 0
            plaintexts.append(plaintext)
            size += len(plaintext) + OVERHEAD
            level.number = record.seq
            level.sent += counts + OVERHEAD
        return plaintexts

    def _progress(self) -> tuple[int, int]:
        return self._ledger.acked, self._level.number

    def _send_last_again(self) -> None:
        """Once: what is not acknowledged after that is under way, or the connection is dead."""
        level = self._level
        if self._link is None or not self._link.room or self._ledger.acked >= level.number:
            return
        sent, level.number = level.sent, level.number - 1
        self.send()
        level.sent = sent


class Watch:
    """Sees whether a new link's records are acknowledged at all, until the first is.

    Args:
        clock: the time.
        progress: the highest numbers that are acknowledged and sent.
        stuck: is called, once for each state, if nothing happens.
    """

    def __init__(
        self, clock: Clock, progress: Callable[[], tuple[int, int]], stuck: Callable[[], None]
    ) -> None:
        self._progress = progress
        self._stuck = stuck
        self._alarm = Alarm(clock, self._look)
        self._patience = FIRST_LOOK
        self._acked = -1
        """What was acknowledged before."""
        self._seen = -1
        """What was sent at the last look."""
        self._repeated = -1
        """What was sent again."""

    def begin(self) -> None:
        """There is a new link."""
        self._patience = FIRST_LOOK
        self._acked, self._seen = self._progress()
        self._repeated = -1
        self._alarm.set(self._patience)

    def end(self) -> None:
        """It is gone."""
        self._alarm.clear()

    def _look(self) -> None:
        acked, sent = self._progress()
        if acked > self._acked:
            return
        if acked < sent == self._seen != self._repeated:
            self._repeated = sent
            self._stuck()
        self._seen = sent
        self._patience = min(2 * self._patience, LONGEST_LOOK)
        self._alarm.set(self._patience)
