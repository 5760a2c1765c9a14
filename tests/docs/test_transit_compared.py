"""What the section on Transit of `docs/from-magic-wormhole.md` says of both libraries, tried."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import wormhole.transit as stock
from twisted.internet import reactor as real
from twisted.internet.defer import Deferred, gatherResults

import holdfast
from holdfast.transit.connection import Connection
from tests.docs.conftest import DOCS
from tests.docs.test_from_magic_wormhole import outcome
from tests.harness import reactor

KEY = bytes(32)
LIBRARIES: tuple[Any, ...] = (stock, holdfast)

MAKING: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "no relay": (lambda lib: lib.TransitSender(), "TypeError", "fine"),
    "timing": (lambda lib: lib.TransitSender(None, timing=None), "fine", "TypeError"),
    "malformed": (lambda lib: lib.TransitSender("relay.example"), "fine", "ValueError"),
    "no text": (lambda lib: lib.TransitSender(7), "InternalError", "TypeError"),
}

CALLS: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "text": (lambda t: t.set_transit_key("x" * 32), "AssertionError", "TypeError"),
    "short": (lambda t: t.set_transit_key(b"short"), "fine", "ValueError"),
    "two": (lambda t: [t.set_transit_key(KEY) for _ in "ab"], "AttributeError", "RuntimeError"),
    "none": (lambda t: t.add_connection_hints([None]), "AttributeError", "fine"),
    "null": (
        lambda t: t.add_connection_hints([{"type": "relay-v1", "hints": None}]),
        "TypeError",
        "fine",
    ),
}


@pytest.mark.parametrize("case", MAKING)
def test_making(case: str) -> None:
    """Each way of making one has the two outcomes that the table tells."""
    make, *expected = MAKING[case]

    async def both() -> list[str]:
        return [await outcome(make, library) for library in LIBRARIES]

    assert reactor.run(both) == expected


@pytest.mark.parametrize("case", CALLS)
def test_calls(case: str) -> None:
    """So has each call before there is a connection."""
    call, *expected = CALLS[case]

    async def both() -> list[str]:
        made = [library.TransitSender(None, no_listen=True, reactor=real) for library in LIBRARIES]
        return [await outcome(call, each) for each in made]

    assert reactor.run(both) == expected


def test_connecting_without_hints() -> None:
    """There `connect` needs `get_connection_hints` before it."""

    async def both() -> list[str]:
        found = []
        for library in LIBRARIES:
            transit = library.TransitSender(None, no_listen=True, reactor=real)
            transit.set_transit_key(KEY)
            found.append(await outcome(transit.connect))
        return found

    assert reactor.run(both) == ["AttributeError", "TransitError"]


async def connected(library: Any) -> tuple[Any, Any]:
    """A sender's connection and a receiver's, both of one library."""
    sender = library.TransitSender(None, reactor=real)
    receiver = library.TransitReceiver(None, no_listen=True, reactor=real)
    for each in (sender, receiver):
        each.set_transit_key(KEY)
    receiver.add_connection_hints(await sender.get_connection_hints())
    await receiver.get_connection_hints()
    ends = await gatherResults([sender.connect(), receiver.connect()])
    return ends[0], ends[1]


def is_waiting(result: Deferred[Any]) -> bool:
    result.addErrback(lambda _: "failed")
    return not result.called


def test_a_connection() -> None:
    """What a connection is asked that it cannot do."""

    async def both() -> list[list[object]]:
        found = []
        for library in LIBRARIES:
            sender, receiver = await connected(library)
            told: list[object] = [
                await outcome(sender.send_record, "text"),
                await outcome(receiver.disconnectConsumer),
            ]
            waiting = receiver.receive_record()
            sender.close()
            told += [await outcome(lambda waiting=waiting: waiting)]
            told += [is_waiting(receiver.receive_record())]
            told += [await outcome(sender.send_record, b"late")]
            receiver.close()
            found.append(told)
        return found

    theirs, ours = reactor.run(both)
    assert theirs == ["InternalError", "AttributeError", "ConnectionClosed", True, "fine"]
    assert ours == ["TypeError", "fine", "TransitClosed", False, "TransitClosed"]


class Pauses:
    """Asks for a pause with its first record."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        self.producer = producer

    def unregisterProducer(self) -> None:  # noqa: N802
        pass

    def write(self, data: bytes) -> None:
        self.got.append(data)
        self.producer.pauseProducing()


def test_a_pause() -> None:
    """There, all that was read is delivered nevertheless."""

    async def both() -> list[int]:
        found = []
        for library in LIBRARIES:
            sender, receiver = await connected(library)
            for _ in range(10):
                sender.send_record(b"x")
            await receiver.receive_record()
            consumer = Pauses()
            receiver.connectConsumer(consumer)
            await reactor.until(lambda consumer=consumer: consumer.got, "a record")
            found.append(len(consumer.got))
            for each in (sender, receiver):
                each.close()
        return found

    assert reactor.run(both) == [9, 1]


def test_ipv6() -> None:
    """There, no IPv6 address is told; here, all addresses are that the host has."""

    async def both() -> list[set[str]]:
        found = []
        for library in LIBRARIES:
            transit = library.TransitSender(None, reactor=real)
            transit.set_transit_key(KEY)
            hints = await transit.get_connection_hints()
            found.append({each["hostname"] for each in hints})
            if library is stock:
                transit._stop_listening()
            else:
                await transit.close()
        return found

    theirs, ours = reactor.run(both)
    assert not any(":" in each for each in theirs)
    assert theirs <= ours


def test_names() -> None:
    """Every method and attribute of theirs is here, or on the page; arguments have their names."""
    page = (DOCS / "from-magic-wormhole.md").read_text()
    pairs = [
        (stock.TransitSender, holdfast.TransitSender),
        (stock.TransitReceiver, holdfast.TransitReceiver),
        (stock.Connection, Connection),
    ]
    inside = {
        *("RELAY_DELAY", "connection_ready", "state", "dataReceivedRECORDS", "recordReceived"),
        *("startNegotiation", "timeoutConnection", "setTimeout", "resetTimeout", "timeOut"),
        "callLater",
    }
    compared = 0
    for theirs, ours in pairs:
        for name in set(dir(theirs)) - inside:
            if name.startswith("_"):
                continue
            assert hasattr(ours, name) or f"`{name}`" in page, name
            if name in vars(theirs) and inspect.isfunction(getattr(theirs, name)):
                wanted = set(inspect.signature(getattr(theirs, name)).parameters)
                assert wanted <= set(inspect.signature(getattr(ours, name)).parameters), name
                compared += 1
    assert compared > 10
