"""A connection whose records Twisted sends and receives, for applications."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure
from zope.interface import implementer  # type: ignore[import-untyped]

from holdfast.transit.errors import RecordError, TransitError, WireError
from holdfast.transit.records import Opener, Sealer


class TransitClosed(WireError, ConnectionClosed):
    """The connection is closed: no record comes or goes any more.

    It is also Twisted's `ConnectionClosed`, which is what the stock library raises.
    """

    advice = "The connection to the other side is closed."


@define
class _Delivery:
    """A consumer that gets the records."""

    consumer: Any
    expected: int | None
    done: Deferred[int]
    written: int = 0
    paused: bool = False


@implementer(ITransport, IConsumer, IPushProducer)
class Connection(TwistedProtocol):
    """Records to and from the other side, encrypted and in order; `Transit.connect` makes it.

    What nobody takes stops the reading: at most one read of records waits, and one that is not
    complete.

    Args:
        describe: where it leads, in a few words.
        send_key: 32 bytes, the key of the records that are sent.
        receive_key: 32 bytes, the key of those that come.
    """

    transport: Any

    def __init__(self, describe: str, send_key: bytes, receive_key: bytes) -> None:
        self._describe = describe
        self._sealer = Sealer(send_key)
        self._opener = Opener(receive_key)
        self._records: deque[bytes] = deque()
        self._readers: deque[Deferred[bytes]] = deque()
        self._delivery: _Delivery | None = None
        self._delivering = False
        self._reads = True
        self._error: TransitError | None = None

    def describe(self) -> str:
        """Where the connection leads, such as `->tcp:192.0.2.1:4001`."""
        return self._describe

    # Sending.

    def send_record(self, record: bytes) -> None:
        """Send `record`; an empty one too.

        Raises:
            TypeError: it is not bytes.
            ValueError: it has more than 64 MiB less 40 bytes.
            TransitError: the connection is closed.
        """
        if not isinstance(record, bytes):
            raise TypeError("a record is bytes")
        if self._error is not None:
            raise self._error
        self.transport.write(self._sealer.seal(record))

    def write(self, data: bytes) -> None:
        """Send `data` as one record, unless the connection is closed."""
        if self._error is None:
            self.send_record(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:  # noqa: N802 - Twisted's
        """Send all of `data` as one record, unless the connection is closed."""
        self.write(b"".join(data))

    def registerProducer(self, producer: object, streaming: bool) -> None:  # noqa: N802, FBT001
        """Have `producer` told when too much waits to be sent, and when it may go on."""
        self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:  # noqa: N802
        """Stop telling the producer."""
        self.transport.unregisterProducer()

    # Receiving.

    def receive_record(self) -> Deferred[bytes]:
        """Return a Deferred of the next record that no other call waits for.

        It fails with TransitError if the connection ends before.
        """
        reader: Deferred[bytes] = Deferred(self._readers.remove)
        self._readers.append(reader)
        self._deliver()
        return reader

    def connectConsumer(  # noqa: N802 - as the stock library has it
        self, consumer: Any, expected: int | None = None
    ) -> Deferred[int] | None:
        """Write all records to `consumer`, an IConsumer, which may pause them.

        Args:
            consumer: gets the content of each record.
            expected: how many bytes it wants; with the record that completes them it is
                disconnected.

        Returns:
            If `expected` is given, a Deferred of the number of bytes that were written; it fails
            with TransitError if the connection ends before.

        Raises:
            RuntimeError: there is a consumer already.
        """
        if self._delivery is not None:
            raise RuntimeError("a consumer is connected already")
        done: Deferred[int] = Deferred()
        self._delivery = _Delivery(consumer, expected, done, paused=True)
        consumer.registerProducer(self, True)  # noqa: FBT003
        self._delivery.paused = False
        if expected == 0:
            self._consume(self._delivery, b"")
        self._deliver()
        return None if expected is None else done

    def disconnectConsumer(self) -> None:  # noqa: N802
        """Write no more records to the consumer."""
        delivery, self._delivery = self._delivery, None
        if delivery is not None:
            delivery.consumer.unregisterProducer()
            self._deliver()

    def writeToFile(  # noqa: N802
        self,
        f: BinaryIO,
        expected: int,
        progress: Callable[[int], object] | None = None,
        hasher: Callable[[bytes], object] | None = None,
    ) -> Deferred[int] | None:
        """Write `expected` bytes of what comes to the file `f`.

        Args:
            f: an open file.
            expected: how many bytes.
            progress: called with the number of bytes of each record.
            hasher: called with the bytes.

        Returns:
            See `connectConsumer`.
        """
        return self.connectConsumer(FileConsumer(f, progress, hasher), expected)

    def pauseProducing(self) -> None:
        """Give no more records to the consumer for now, and read no more."""
        if self._delivery is not None:
            self._delivery.paused = True
        self._read(wanted=False)

    def resumeProducing(self) -> None:
        """Go on."""
        if self._delivery is not None:
            self._delivery.paused = False
        self._deliver()

    def stopProducing(self) -> None:
        """Close the connection: nobody wants more."""
        self.transport.stopProducing()

    # Ending.

    def close(self) -> None:
        """Close the connection, once everything that was sent has gone out."""
        self.transport.loseConnection()
        self._end(TransitClosed())

    def loseConnection(self) -> None:  # noqa: N802
        """See `close`."""
        self.close()

    def abortConnection(self) -> None:  # noqa: N802
        """Close the connection at once."""
        self.transport.abortConnection()
        self._end(TransitClosed())

    def getPeer(self) -> Any:  # noqa: N802
        """The other end's address, a relay's if there is one."""
        return self.transport.getPeer()

    def getHost(self) -> Any:  # noqa: N802
        """The address of this end."""
        return self.transport.getHost()

    # What Twisted tells.

    def dataReceived(self, data: bytes) -> None:
        """Take the records in `data`."""
        if self._error is not None:
            return
        try:
            self._records.extend(self._opener.feed(data))
        except RecordError as error:
            self.transport.abortConnection()
            self._end(error)
        else:
            self._deliver()

    def connectionLost(self, reason: Failure | None = None) -> None:  # noqa: ARG002 - Twisted's
        """The other side is gone."""
        self._end(TransitClosed())

    def _end(self, error: TransitError) -> None:
        """No more records come; those that have come are still there."""
        if self._error is None:
            self._error = error
            self._deliver()

    def _deliver(self) -> None:
        """Give away what may be given away, and read on if nothing is left."""
        if self._delivering:  # a consumer that is being written to resumes us
            return
        self._delivering = True
        try:
            while self._records and self._give():
                pass
        finally:
            self._delivering = False
        if self._error is not None:
            if not self._records:
                self._fail(self._error)
            return
        paused = self._delivery is not None and self._delivery.paused
        self._read(wanted=not paused and not self._records)

    def _give(self) -> bool:
        """Give the first record away, if somebody wants it."""
        if self._delivery is not None:
            if self._delivery.paused:
                return False
            self._consume(self._delivery, self._records.popleft())
            return True
        if not self._readers:
            return False
        self._readers.popleft().callback(self._records.popleft())
        return True

    def _consume(self, delivery: _Delivery, record: bytes) -> None:
        delivery.consumer.write(record)
        delivery.written += len(record)
        if delivery.expected is not None and delivery.written >= delivery.expected:
            if delivery is self._delivery:
                self._delivery = None
                delivery.consumer.unregisterProducer()
            delivery.done.callback(delivery.written)

    def _fail(self, error: TransitError) -> None:
        while self._readers:
            self._readers.popleft().errback(error)
        delivery, self._delivery = self._delivery, None
        if delivery is not None:
            delivery.consumer.unregisterProducer()
            if delivery.expected is not None:
                delivery.done.errback(error)

    def _read(self, *, wanted: bool) -> None:
        if wanted != self._reads:
            self._reads = wanted
            if wanted:
                self.transport.resumeProducing()
            else:
                self.transport.pauseProducing()


@implementer(IConsumer)
class FileConsumer:
    """Writes what it gets to a file; for `Connection.writeToFile`."""

    def __init__(
        self,
        f: BinaryIO,
        progress: Callable[[int], object] | None,
        hasher: Callable[[bytes], object] | None,
    ) -> None:
        self._file = f
        self._progress = progress
        self._hasher = hasher

    def registerProducer(self, producer: object, streaming: bool) -> None:  # noqa: N802, FBT001
        """A file takes everything at once, so it never pauses its producer."""

    def unregisterProducer(self) -> None:  # noqa: N802
        """It is not closed: it is the caller's."""

    def write(self, data: bytes) -> None:
        """Write `data`."""
        self._file.write(data)
        if self._progress is not None:
            self._progress(len(data))
        if self._hasher is not None:
            self._hasher(data)
