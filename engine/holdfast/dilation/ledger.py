"""The numbers, the channels, and what the peer has not acknowledged; pure.

Each direction has one counter over all records that open, fill and close channels. A record is kept
until it is acknowledged, and goes out again on each new connection; what comes again is dropped by
its number. So nothing is lost, doubled or reordered, whatever happens to connections. If the ledger
is saved before a record leaves, and before what came is acknowledged, that holds for the death of
the process too (dilation-protocol.rst, "L4 protocol" and "L5 subchannels"; there is no control
channel, as in stock from 0.20 on).

This is on the path of each record: no copies, nothing that grows with what is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from attrs import define, field

from holdfast.core.documents import copied
from holdfast.dilation.errors import ProtocolError
from holdfast.dilation.records import Close, Data, Open

LAST: Final = 2**32 - 1
"""The greatest number of a record or a channel. They do not start anew."""

MOST_CHANNELS: Final = 10_000
"""Open channels of the peer's; more are closed at once."""

MOST_CLOSES: Final = 5_000
"""Closes of ours that wait to be acknowledged when the peer opens another channel.

All of them are saved in each commit."""

MOST_HELD: Final = 1024 * 1024
"""Bytes, of all channels together, that wait for somebody who listens."""

OVERHEAD: Final = 100
"""Bytes that a record counts beyond its data."""

PLANNED_SIZE: Final = 65_536
"""Bytes that a planned record counts, unless its plan says how long it is."""

MOST_PLANNED: Final = 10_000
"""Records of one plan."""


class Exhausted(Exception):
    """All numbers of records or channels are used up: 4 294 967 296, or half of them."""


@define(eq=False)
class Channel:
    """One channel.

    Args:
        number: its number (`scid`), the same on both sides.
        name: the subprotocol.
        ours: whether we opened it.
        out_closed: whether we have closed our direction.
        in_closed: whether the peer has closed its own.
        sent: DATA records that were written or planned.
        received: DATA records that came, those that are held included.
        held: what came while nobody listened.
        planned: records of its plans that the peer has not acknowledged.
        over: whether the application was told of the end.
        state: what the application's protocol remembers, as JSON.
    """

    number: int
    name: str
    ours: bool
    out_closed: bool = False
    in_closed: bool = False
    sent: int = 0
    received: int = 0
    held: list[bytes] = field(factory=list, repr=False)
    planned: int = 0
    over: bool = False
    state: Any = field(default=None, repr=False)


@define(eq=False)
class Planned:
    """A DATA record that the channel's protocol makes from its plan whenever it is sent."""

    scid: int
    seq: int
    plan: Any = field(repr=False)
    index: int
    size: int


Outgoing: TypeAlias = Open | Data | Close | Planned


@define
class Opened:
    """The peer has opened this channel."""

    channel: Channel


@define
class Received:
    """The peer has written `data` to this channel."""

    channel: Channel
    data: bytes = field(repr=False)


@define
class Ended:
    """The peer has closed its direction of this channel."""

    channel: Channel


Taken: TypeAlias = Opened | Received | Ended


@define(eq=False)
class Ledger:
    """All of it, for one wormhole.

    Args:
        leader: whether we lead, which says which channels are ours; None before it is known.
        next_out: the number of the record that is written next.
        acked: the highest number that the peer has acknowledged, or -1.
        highest_in: the highest number that has come, or -1. Acknowledge it once what it caused
            is durable.
        next_channel: the number of the channel that is opened next.
        unacked_bytes: what is kept; each record counts 100 bytes more than its data.
        planned_bytes: the part of it that plans make again.
        held_bytes: what all channels hold together.
        channels: those that have not ended, by number.
    """

    leader: bool | None = None
    next_out: int = 0
    acked: int = -1
    highest_in: int = -1
    next_channel: int = 0
    unacked_bytes: int = 0
    planned_bytes: int = 0
    held_bytes: int = 0
    channels: dict[int, Channel] = field(factory=dict)
    _kept: deque[Outgoing] = field(factory=deque, repr=False)  # number acked + 1 is the first
    _theirs: int = 0  # how many of `channels` the peer has opened
    _closes: int = 0  # how many of `_kept` are a Close

    def begin(self, *, leader: bool) -> None:
        """The roles are known. They never change: again, it does nothing."""
        if self.leader is None:
            self.leader = leader
            self.next_channel = 1 if leader else 2

    # Out.

    def open(self, name: str) -> int:
        """Open a channel and return its number. Only once the roles are known.

        Raises:
            Exhausted: there is no number left.
        """
        if self.leader is None:
            raise ValueError("who leads is not known yet")
        scid = self.next_channel
        if scid > LAST:
            raise Exhausted
        self._keep(Open(scid, self.next_out, name))
        self.next_channel += 2
        self.channels[scid] = Channel(scid, name, ours=True)
        return scid

    def write(self, scid: int, data: bytes) -> None:
        """Write one record, which is kept until it is acknowledged. Dropped after `close`.

        Raises:
            Exhausted: there is no number left.
        """
        channel = self.channels.get(scid)
        if channel is None or channel.out_closed:
            return
        self._keep(Data(scid, self.next_out, data))
        channel.sent += 1

    def plan(self, scid: int, plan: Any, count: int, size: int = PLANNED_SIZE) -> None:
        """Write `count` records that can be made again: from `plan`, JSON, and 0 to `count` - 1.

        `size` is the length of the longest in bytes. Dropped after `close`.

        Raises:
            ValueError: these are more than 10,000 records at a time.
            Exhausted: there are not enough numbers left.
        """
        if count > MOST_PLANNED:
            raise ValueError("a plan of more than 10,000 records")
        channel = self.channels.get(scid)
        if channel is None or channel.out_closed:
            return
        if self.next_out + count > LAST + 1:
            raise Exhausted
        own = copied(plan)
        for index in range(count):
            self._keep(Planned(scid, self.next_out, own, index, size))
        self.planned_bytes += count * (size + OVERHEAD)
        channel.sent += count
        channel.planned += count

    def close(self, scid: int) -> None:
        """Close our direction; again, it does nothing.

        Raises:
            Exhausted: there is no number left.
        """
        channel = self.channels.get(scid)
        if channel is not None and not channel.out_closed:
            self._close(scid)
            channel.out_closed = True

    def refuse(self, scid: int) -> None:
        """Close a channel of the peer's that nobody wants, and forget it: what comes is dropped."""
        channel = self.channels.get(scid)
        if channel is not None:
            self.close(scid)
            channel.in_closed = True
            self.forget(scid)

    def acknowledged(self, seq: int) -> None:
        """The peer has everything up to `seq`. A number that was not given out is ignored."""
        if seq >= self.next_out:
            return
        for _ in range(seq - self.acked):
            record = self._kept.popleft()
            size = size_of(record)
            self.unacked_bytes -= size
            if isinstance(record, Planned):
                self.planned_bytes -= size
                channel = self.channels[record.scid]
                channel.planned -= 1
                self._drop_if_done(channel)
            elif isinstance(record, Close):
                self._closes -= 1
        self.acked = max(self.acked, seq)

    def outgoing(self, after: int) -> Iterator[Outgoing]:
        """What is not acknowledged and has a number above `after`, in order.

        What is written or acknowledged meanwhile is taken into account.
        """
        kept = self._kept
        number = after + 1
        while (number := max(number, self.acked + 1)) < self.next_out:
            yield kept[number - self.acked - 1]
            number += 1

    # In.

    def take(self, record: Open | Data | Close) -> Taken | None:
        """What a record of the peer's means; None if it means nothing.

        It means nothing if it came before, or if there is no such channel (any longer). In both
        cases it is acknowledged, by `highest_in`, as all others are.

        Raises:
            ProtocolError: there is a gap before it, or the peer acknowledges nothing. It is not
                taken: drop the connection.
        """
        if record.seq != self.highest_in + 1:
            if record.seq <= self.highest_in:
                return None
            raise ProtocolError("records are missing")
        if isinstance(record, Open):
            return self._take_open(record)
        self.highest_in += 1
        channel = self.channels.get(record.scid)
        if channel is None or channel.in_closed:
            return None
        if isinstance(record, Data):
            channel.received += 1
            return Received(channel, record.data)
        channel.in_closed = True
        return Ended(channel)

    def hold(self, channel: Channel, data: bytes) -> None:
        """Keep what was received until somebody listens.

        Take no more records while `held_bytes` is above `MOST_HELD`.
        """
        channel.held.append(data)
        self.held_bytes += len(data) + OVERHEAD

    def release(self, channel: Channel) -> list[bytes]:
        """Somebody listens now: what was held, in order."""
        held, channel.held = channel.held, []
        self.held_bytes -= sum(map(len, held)) + OVERHEAD * len(held)
        return held

    def release_first(self, channel: Channel) -> bytes:
        """The first of what was held."""
        data = channel.held.pop(0)
        self.held_bytes -= len(data) + OVERHEAD
        return data

    def forget(self, scid: int) -> None:
        """The application was told that a channel, which both sides have closed, has ended.

        Only then it leaves `channels`: a process that dies before has somebody to tell. It stays
        longer if records of its plans are not acknowledged, because its protocol makes them.
        """
        channel = self.channels.get(scid)
        if channel is not None and channel.in_closed and channel.out_closed:
            self.release(channel)
            channel.over = True
            self._drop_if_done(channel)

    def _drop_if_done(self, channel: Channel) -> None:
        if channel.over and channel.planned == 0:
            del self.channels[channel.number]
            self._theirs -= 0 if channel.ours else 1

    def _take_open(self, record: Open) -> Opened | None:
        if self._closes > MOST_CLOSES:
            raise ProtocolError("it opens channels and acknowledges nothing")
        self.highest_in += 1
        scid = record.scid
        if scid == 0 or (scid % 2 == 1) == self.leader or scid in self.channels:
            return None  # an answer would close another channel, or nobody's
        # Clients before 0.20 name no subprotocol.
        if not record.name or self._theirs >= MOST_CHANNELS:
            self._close(scid)
            return None
        channel = self.channels[scid] = Channel(scid, record.name, ours=False)
        self._theirs += 1
        return Opened(channel)

    def _close(self, scid: int) -> None:
        self._keep(Close(scid, self.next_out))
        self._closes += 1

    def _keep(self, record: Outgoing) -> None:
        if self.next_out > LAST:
            raise Exhausted
        self._kept.append(record)
        self.next_out += 1
        self.unacked_bytes += size_of(record)


def size_of(record: Outgoing) -> int:
    """What a record that is kept counts."""
    if isinstance(record, Data):
        return len(record.data) + OVERHEAD
    if isinstance(record, Planned):
        return record.size + OVERHEAD
    return (len(record.name) if isinstance(record, Open) else 0) + OVERHEAD
