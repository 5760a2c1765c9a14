"""What the section on dilation of `docs/from-magic-wormhole.md` says of both libraries, tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet import reactor as real
from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

import holdfast
from tests.docs.test_from_magic_wormhole import APPID, LIBRARIES, outcome
from tests.harness import reactor
from tests.harness.server import MailboxServer


@define(eq=False, slots=False)
class Plain(Protocol):
    told: list[str] = field(factory=list)

    def dataReceived(self, data: bytes) -> None:
        self.told.append(data.decode())

    def connectionLost(self, reason: Any = None) -> None:
        self.told.append("lost")


@implementer(IHalfCloseableProtocol)
class Half(Plain):
    def readConnectionLost(self) -> None:  # noqa: N802 - Twisted's name
        self.told.append("read lost")

    def writeConnectionLost(self) -> None:  # noqa: N802 - Twisted's name
        self.told.append("write lost")


@define
class Pair:
    """Two wormholes of one library that are dilated, and what their factories made."""

    ours: Any
    theirs: Any
    here: Any
    there: Any
    made: list[Any] = field(factory=list)

    def make(self) -> Any:
        self.made.append(Half())
        return self.made[-1]

    async def open(self, kind: Any = Plain) -> Any:
        return await self.here.connector_for("x").connect(Factory.forProtocol(kind))


async def dilated(library: Any, server: MailboxServer, code: str) -> Pair:
    made = [library.create(APPID, server.url, real, dilation=True) for _ in range(2)]
    pair = Pair(*made, *[each.dilate() for each in made])
    factory = Factory.forProtocol(pair.make)
    listening = pair.there.listener_for("x").listen(factory)
    for each in made:
        each.set_code(code)
    await gatherResults([pair.here.when_dilated(), pair.there.when_dilated(), listening])
    return pair


def after_close(what: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def do(transport: Any) -> Any:
        transport.loseConnection()
        return what(transport)

    return do


async def wait_for(dilated: Any) -> None:
    await dilated


TRANSPORTS: dict[str, tuple[Any, Callable[[Any], Any], str, str]] = {
    "write after": (Plain, after_close(lambda t: t.write(b"x")), "AlreadyClosedError", "fine"),
    "close twice": (Plain, after_close(lambda t: t.loseConnection()), "AlreadyClosedError", "fine"),
    "close": (Half, lambda t: t.loseConnection(), "NormalCloseUsedOnHalfCloseable", "fine"),
    "half": (Plain, lambda t: t.loseWriteConnection(), "HalfCloseUsedOnNonHalfCloseable", "fine"),
    "pause": (Plain, lambda t: t.pauseProducing(), "AttributeError", "fine"),
    "abort": (Plain, lambda t: t.abortConnection(), "AttributeError", "fine"),
    "text": (Plain, lambda t: t.write("text"), "AssertionError", "TypeError"),
}

CALLS: dict[str, tuple[Callable[[Pair], Any], str, str]] = {
    "dilate": (lambda pair: pair.ours.dilate(), "CanOnlyDilateOnceError", "CanOnlyDilateOnceError"),
    "listen": (
        lambda pair: pair.there.listener_for("x").listen(Factory()),
        "ValueError",
        "EndpointUsedError",
    ),
    "no name": (lambda pair: pair.here.connector_for(""), "ValueError", "ValueError"),
    "listen to no name": (lambda pair: pair.here.listener_for(""), "fine", "ValueError"),
    "await": (lambda pair: ensureDeferred(wait_for(pair.here)), "TypeError", "fine"),
}


async def tried(pair: Pair) -> list[str]:
    """Everything that the tables name, and what the other side's protocols hear in the end."""
    found = []
    for kind, do, *_ in TRANSPORTS.values():
        opened = await pair.open(kind)
        found.append(await outcome(do, opened.transport))
    found += [await outcome(do, pair) for do, *_ in CALLS.values()]
    await reactor.until(lambda: len(pair.made) == len(TRANSPORTS), "all are there")
    await gatherResults([pair.ours.close(), pair.theirs.close()])
    return [*found, "told" if all("lost" in each.told for each in pair.made) else "not told"]


def test_both(server: MailboxServer) -> None:
    """Each row has its two outcomes; and ours alone tells protocols that their wormhole ends."""

    async def both() -> list[list[str]]:
        return [
            await tried(await dilated(library, server, f"{number}-x"))
            for number, library in enumerate(LIBRARIES.values(), 771)
        ]

    stock, ours = reactor.run(both, timeout=60)
    rows = [*TRANSPORTS.values(), *CALLS.values()]
    assert stock == [*(row[-2] for row in rows), "not told"]
    assert ours == [*(row[-1] for row in rows), "told"]
    assert issubclass(holdfast.EndpointUsedError, ValueError)
    reactor.flush_logged_errors()
