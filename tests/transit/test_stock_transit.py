"""`TransitSender` and `TransitReceiver`, with one another and with those of the stock library."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import wormhole.transit as stock
from twisted.internet import reactor as real
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IConsumer, IPushProducer, ITransport
from twisted.internet.task import Cooperator, deferLater
from twisted.protocols.basic import FileSender
from zope.interface import implementer
from zope.interface.verify import verifyObject

import holdfast
from tests.harness import reactor

KEY = bytes(range(32))
PAIRS = [
    (holdfast.TransitSender, stock.TransitReceiver),
    (stock.TransitSender, holdfast.TransitReceiver),
    (holdfast.TransitSender, holdfast.TransitReceiver),
]
NAMES = ["to stock", "from stock", "our own"]
pairs = pytest.mark.parametrize("pair", PAIRS, ids=NAMES)

Talk = Callable[[Any, Any], Awaitable[None]]


def between(pair: Any, talk: Talk, relay: str | None = None, *, direct: bool = True) -> None:
    """Connect a sender and a receiver, let them talk, and close what is left."""

    async def connecting() -> None:
        sides = [kind(relay, no_listen=not direct, reactor=real) for kind in pair]
        for each in sides:
            each.set_transit_key(KEY)
        sender, receiver = sides
        receiver.add_connection_hints(await sender.get_connection_hints())
        sender.add_connection_hints(await receiver.get_connection_hints())
        ends = await gatherResults([sender.connect(), receiver.connect()])
        try:
            await talk(*ends)
        finally:
            for each in ends:
                each.close()
            # What the peers have closed is noticed in later turns.
            await deferLater(real, 0.01)

    reactor.run(connecting)


async def talk(sender: Any, receiver: Any) -> None:
    """Records of all sizes, in both directions."""
    records = [b"hello", b"", bytes(1_000_000), b"", b"x" * 16_384]
    for each in records:
        sender.send_record(each)
    assert [await receiver.receive_record() for _ in records] == records
    for each in records:
        receiver.send_record(each)
    assert [await sender.receive_record() for _ in records] == records


@pairs
def test_directly(pair: Any) -> None:
    """Hints, keys, handshake and records are the same in both."""

    async def described(sender: Any, receiver: Any) -> None:
        assert "->tcp:" in sender.describe() + receiver.describe()
        await talk(sender, receiver)

    between(pair, described)


@pairs
def test_through_a_relay(pair: Any, relay: str) -> None:
    """If nobody can come in on either side."""

    async def described(sender: Any, receiver: Any) -> None:
        assert sender.describe() == receiver.describe() == f"->relay:{relay}"
        await talk(sender, receiver)

    between(pair, described, relay, direct=False)


@pairs
def test_a_file(pair: Any) -> None:
    """As the stock client sends one: a FileSender on one side, `writeToFile` on the other."""
    data = bytes(range(256)) * 4000

    async def sending(sender: Any, receiver: Any) -> None:
        progress: list[int] = []
        file, digest = io.BytesIO(), hashlib.sha256()
        done = receiver.writeToFile(file, len(data), progress.append, digest.update)
        await FileSender().beginFileTransfer(io.BytesIO(data), sender)
        assert await done == len(data) == sum(progress)
        assert file.getvalue() == data
        receiver.send_record(digest.hexdigest().encode())
        assert await sender.receive_record() == hashlib.sha256(data).hexdigest().encode()
        assert await receiver.writeToFile(file, 0) == 0

    between(pair, sending)


@implementer(IConsumer)
class Slow:
    """A consumer that asks for a pause after each record."""

    producer: Any

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.is_paused = False
        self.is_done = False

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:  # noqa: N802
        self.is_done = True

    def write(self, data: bytes) -> None:
        assert not self.is_paused
        self.sizes.append(len(data))
        self.is_paused = True
        self.producer.pauseProducing()
        real.callLater(0, self.resume)

    def resume(self) -> None:
        self.is_paused = False
        self.producer.resumeProducing()


@pytest.mark.parametrize("sender", [stock.TransitSender, holdfast.TransitSender])
def test_a_slow_consumer(sender: Any) -> None:
    """It gets one record at a time, and the sender is slowed down to its pace."""

    async def slowly(sender: Any, receiver: Any) -> None:
        consumer, pauses = Slow(), []

        class Producer:
            """Sends as much as it may."""

            left = 300

            def resumeProducing(self) -> None:
                self.task = Cooperator(scheduler=lambda x: real.callLater(0, x)).cooperate(
                    self.records()
                )

            def records(self) -> Any:
                while self.left:
                    self.left -= 1
                    sender.write(bytes(100_000))
                    yield
                sender.unregisterProducer()

            def pauseProducing(self) -> None:
                pauses.append(self.left)
                self.task.stop()

            def stopProducing(self) -> None:
                raise AssertionError

        producer = Producer()
        sender.registerProducer(producer, True)
        producer.resumeProducing()
        await reactor.until(lambda: pauses, "the sender is told to wait")
        assert producer.left
        assert await receiver.connectConsumer(consumer, 300 * 100_000) == 300 * 100_000
        assert consumer.sizes == [100_000] * 300
        assert consumer.is_done
        await reactor.until(lambda: not consumer.is_paused, "the consumer has resumed")

    between((sender, holdfast.TransitReceiver), slowly)


@pairs
def test_the_end(pair: Any) -> None:
    """What came before it is still there; then there is the error that both libraries raise."""

    async def ending(sender: Any, receiver: Any) -> None:
        waiting = receiver.receive_record()
        sender.send_record(b"last")
        sender.close()
        assert await waiting == b"last"
        failed = receiver.receive_record()
        with pytest.raises(ConnectionClosed):
            await failed

    between(pair, ending)


def test_after_the_end() -> None:
    """Here every call fails, also those that come later; there, they wait for ever."""

    async def ending(sender: Any, receiver: Any) -> None:
        sender.send_record(b"one")
        sender.send_record(b"two")
        done = receiver.connectConsumer(Slow(), 1000)
        sender.close()
        with pytest.raises(holdfast.TransitClosed):
            await done
        with pytest.raises(holdfast.TransitError):
            await receiver.receive_record()
        for each in (sender, receiver):
            with pytest.raises(holdfast.TransitClosed, match="closed"):
                each.send_record(b"x")
            each.write(b"ignored, as by every transport")

    between(PAIRS[2], ending)


def test_interfaces() -> None:
    """A connection may be used wherever Twisted wants one of these."""

    async def looking(sender: Any, receiver: Any) -> None:
        for each in (ITransport, IConsumer, IPushProducer):
            assert verifyObject(each, sender)
        sender.writeSequence([b"to", b"gether"])
        assert await receiver.receive_record() == b"together"
        assert sender.getPeer().port == receiver.getHost().port
        with pytest.raises(TypeError):
            sender.send_record("text")
        consumer = Slow()
        assert receiver.connectConsumer(consumer) is None
        with pytest.raises(RuntimeError):
            receiver.connectConsumer(consumer)
        receiver.disconnectConsumer()
        assert consumer.is_done
        waiting = receiver.receive_record()
        waiting.cancel()
        waiting.addErrback(lambda _: None)
        sender.send_record(b"for the next")
        assert await receiver.receive_record() == b"for the next"
        sender.abortConnection()

    between(PAIRS[2], looking)


def test_a_peer_that_cheats() -> None:
    """Records that are none end the connection, with an error that says so."""

    async def cheating(sender: Any, receiver: Any) -> None:
        sender.send_record(b"good")
        sender.transport.write(bytes(100))
        assert await receiver.receive_record() == b"good"
        with pytest.raises(holdfast.RecordError, match="0 bytes"):
            await receiver.receive_record()

    between(PAIRS[2], cheating)


def test_an_early_and_a_late_call() -> None:
    """Hints before keys, `connect` before both, hints twice: the order does not matter."""

    async def connecting() -> None:
        sender, receiver = holdfast.TransitSender(), holdfast.TransitReceiver(no_listen=True)
        assert (
            sender.get_connection_abilities()
            == stock.TransitSender(None).get_connection_abilities()
        )
        ends: Deferred[Any] = gatherResults([receiver.connect(), sender.connect()])
        hints = await sender.get_connection_hints()
        receiver.add_connection_hints(hints[:1])
        receiver.add_connection_hints([None, *hints])
        sender.set_transit_key(KEY)
        receiver.set_transit_key(KEY)
        for each in await ends:
            each.close()
        with pytest.raises(RuntimeError):
            sender.connect()
        with pytest.raises(RuntimeError):
            sender.set_transit_key(KEY)
        with pytest.raises(TypeError):
            holdfast.TransitSender().set_transit_key("text")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="tcp:HOST:PORT"):
            holdfast.TransitSender("relay.example")

    reactor.run(connecting)


def test_no_connection() -> None:
    """Both libraries say at once that there is nothing to connect to."""

    async def connecting() -> None:
        for library, error in ((stock, stock.TransitError), (holdfast, holdfast.TransitError)):
            alone = library.TransitSender(None, no_listen=True, reactor=real)
            alone.set_transit_key(KEY)
            await alone.get_connection_hints()
            with pytest.raises(error):
                await alone.connect()

    reactor.run(connecting)
