"""A subchannel as applications hold it: a transport of Twisted's, which behaves as TCP does.

The numbers, and what is closed, are in the ledger's `Channel`; here are the protocol that listens,
and how it is told. Every call of a protocol is made inside a journal entry; what its transport is
asked to do may be asked at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from attrs import field, frozen
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableProtocol,
    IPushProducer,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer  # type: ignore[import-untyped]

from holdfast.dilation.frames import MOST_PLAIN
from holdfast.dilation.ledger import MOST_PLANNED, PLANNED_SIZE, Channel
from holdfast.dilation.records import HEAD

LONGEST: Final = MOST_PLAIN - HEAD.size
"""Bytes of the longest record; a peer need not take more than 64 MiB at once."""


@implementer(IAddress)
@frozen
class SubchannelAddress:
    """Which subchannel a protocol is made for.

    Args:
        subprotocol: its name, as it was opened.
        number: its number in the wormhole: odd if the leader opened it.
        resumed: whether a protocol of an earlier process had it before.
        received: how many records the protocols before this one were given.
        state: what the last of them saved (`save_state`), as JSON values; or None.
    """

    subprotocol: str
    number: int = 0
    resumed: bool = False
    received: int = 0
    state: Any = field(default=None, repr=False)


@implementer(IAddress)
@frozen
class WormholeAddress:
    """Our end of every subchannel."""


class ChannelOwner(Protocol):
    """What a subchannel needs of the wormhole."""

    def write(self, subchannel: Subchannel, data: bytes) -> None:
        """Send a record."""
        ...

    def plan(self, subchannel: Subchannel, plan: Any, count: int, size: int) -> None:
        """Send `count` records of about `size` bytes that the protocol makes."""
        ...

    def close(self, subchannel: Subchannel) -> None:
        """Send our CLOSE."""
        ...

    def soon(self, call: Callable[[], object]) -> None:
        """Make `call` inside a journal entry, later."""
        ...

    def register(self, subchannel: Subchannel, producer: Any, *, streaming: bool) -> None:
        """`producer` writes to it from now on."""
        ...

    def unregister(self, subchannel: Subchannel) -> None:
        """Its producer writes no more."""
        ...

    def resumed(self, subchannel: Subchannel) -> None:
        """Its protocol wants more."""
        ...

    def end(self, subchannel: Subchannel, reason: Exception) -> None:
        """Tell its protocol that it is over, as soon as its plans need it no more."""
        ...

    def over(self, subchannel: Subchannel) -> None:
        """Its protocol is to hear no more."""
        ...


@implementer(ITransport, IConsumer, IPushProducer)
class Subchannel:
    """One stream of records to and from the peer.

    One `write` is one record, and one `dataReceived` at the other end, also if it is empty.

    Args:
        owner: the wormhole's channels.
        channel: what the ledger knows of it.
        address: which one it is.
    """

    __slots__ = (
        "__weakref__", "_address", "_is_closing", "_owner", "_producer", "_read_closed", "channel",
        "disconnecting", "is_over", "is_paused", "protocol", "was_told",
    )  # fmt: skip

    def __init__(self, owner: ChannelOwner, channel: Channel, address: SubchannelAddress) -> None:
        self._owner = owner
        self.channel = channel
        self._address = address
        self.protocol: Any = None
        self.disconnecting = False
        """Whether `loseConnection` was called."""
        self.is_paused = False
        self.is_over = False
        """Whether the protocol hears no more, except that it is over."""
        self.was_told = False
        """Whether it was told that."""
        self._is_closing = channel.out_closed
        """Whether it is to be closed as soon as there is no producer."""
        self._read_closed = False
        self._producer: Any = None

    def connect(self, protocol: Any) -> None:
        """Let `protocol` have it."""
        self.protocol = protocol
        protocol.makeConnection(self)

    # What the peer does; inside an entry.

    def got_data(self, data: bytes) -> None:
        """A record has come."""
        self.protocol.dataReceived(data)

    def got_close(self) -> None:
        """The peer will send no more."""
        if self._read_closed or self.is_over:
            return
        self._read_closed = True
        if self._is_half and not self.disconnecting:
            self.protocol.readConnectionLost()
            if not self.channel.out_closed:
                return
        elif not self.channel.out_closed:
            self._owner.close(self)
        self._owner.end(self, ConnectionDone())

    def lose(self, reason: Exception) -> None:
        """Tell the protocol, once, that nothing more comes or goes."""
        if not self.was_told:
            self.was_told = self.is_over = self._is_closing = True
            self._tell_lost(reason)
            self._owner.over(self)

    # What the application does.

    def write(self, data: bytes) -> None:
        """Send a record; nothing happens if it is closed.

        Raises:
            TypeError: it is not bytes.
            ValueError: it is longer than a peer takes, 64 MiB.
        """
        if isinstance(data, bytearray | memoryview):
            data = bytes(data)
        check(data)
        if not self.channel.out_closed and not self.is_over:
            self._owner.write(self, data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:  # noqa: N802
        """Send all of these as one record."""
        self.write(b"".join(iovec))

    def write_plan(self, plan: Any, count: int, size: int = PLANNED_SIZE) -> None:
        """Send `count` records that the protocol's `make_record(plan, index)` makes.

        It is asked for each of them when it is sent, and again when it has to be sent again, also
        by another process: it must return the same bytes every time. Only the plan is saved. So
        the protocol is needed, and hears no `connectionLost`, until the peer has these records.
        After a restart everything that was written later, to other subchannels too, waits until
        this one has a protocol again.

        Args:
            plan: JSON values.
            count: how many records, at most 10,000.
            size: about how many bytes each of them has; by this, producers are paused.

        Raises:
            ValueError: `count` is something else.
            TypeError: the protocol has no method `make_record`.
        """
        if not hasattr(self.protocol, "make_record"):
            raise TypeError("a protocol that plans records has a method make_record")
        if type(count) is not int or not 1 <= count <= MOST_PLANNED:
            raise ValueError(f"a plan is for 1 to {MOST_PLANNED:,} records")
        if not self.channel.out_closed and not self.is_over:
            self._owner.plan(self, plan, count, size)

    def loseConnection(self, _: object = None) -> None:  # noqa: N802
        """Close it, when the producer has no more; what the peer has sent still arrives."""
        if not self.disconnecting:
            self.disconnecting = True
            self.resumeProducing()  # else it would not hear of the end
            if self._is_closing and self._producer is None:
                self._owner.soon(self._written)
            else:
                self._close()

    def loseWriteConnection(self) -> None:  # noqa: N802
        """Send no more; what the peer sends still arrives."""
        self._close()

    def abortConnection(self) -> None:  # noqa: N802
        """Close it, and hear no more."""
        if self.is_over:
            return
        self.is_over = self._is_closing = True
        if not self.channel.out_closed:
            self._owner.close(self)
        self._owner.over(self)
        self._owner.soon(lambda: self._owner.end(self, ConnectionAborted()))

    def getPeer(self) -> SubchannelAddress:  # noqa: N802
        """Which subchannel this is."""
        return self._address

    def getHost(self) -> WormholeAddress:  # noqa: N802
        """The wormhole."""
        return WormholeAddress()

    # IConsumer: who writes more than can be sent is paused.

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: FBT001, N802
        """Let `producer` write from now on; pause it while the connection does not keep up.

        Raises:
            RuntimeError: there is one already.
        """
        if self._producer is not None:
            raise RuntimeError("a subchannel has one producer at a time")
        if self.is_over or self.channel.out_closed:
            producer.stopProducing()
            return
        self._producer = producer
        self._owner.register(self, producer, streaming=streaming)

    def unregisterProducer(self) -> None:  # noqa: N802
        """The producer has no more."""
        if self._producer is not None:
            self._producer = None
            self._owner.unregister(self)
            if self._is_closing:
                self._end_writing()

    # IPushProducer: who does not want more for a while.

    def pauseProducing(self) -> None:
        """Let no more come, until `resumeProducing`; the peer is slowed down."""
        self.is_paused = True

    def resumeProducing(self) -> None:
        """Let more come."""
        if self.is_paused and not self.is_over:
            self.is_paused = False
            self._owner.resumed(self)

    def stopProducing(self) -> None:
        """Close it."""
        self.loseConnection()

    @property
    def _is_half(self) -> bool:
        return bool(IHalfCloseableProtocol.providedBy(self.protocol))

    def _close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            if self._producer is None:
                self._end_writing()

    def _end_writing(self) -> None:
        if not self.channel.out_closed:
            self._owner.close(self)
            self._owner.soon(self._written)

    def _written(self) -> None:
        """Tell what follows from our having closed it."""
        if self.is_over:
            return
        if self._is_half and not self.disconnecting:
            self.protocol.writeConnectionLost()
        if self._read_closed:
            self._owner.end(self, ConnectionDone())

    def _tell_lost(self, reason: Exception) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            self._owner.unregister(self)
            producer.stopProducing()
        self.protocol.connectionLost(Failure(reason))


def check(data: bytes) -> None:
    """See whether this can be a record.

    Raises:
        TypeError: it is not bytes.
        ValueError: it is too long.
    """
    if not isinstance(data, bytes):
        raise TypeError("a record is bytes")
    if len(data) > LONGEST:
        raise ValueError(f"a record has at most {LONGEST:,} bytes, not {len(data):,}")
