"""Dilated with an unmodified `magic-wormhole` at the other end, in both roles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import wormhole as stock
import wormhole._dilation.manager as stock_manager
from twisted.internet import reactor as real

import holdfast
from tests.dilation.world import Made, Told
from tests.harness import reactor
from tests.harness.server import MailboxServer

APPID = "example.com/dilation"
CODE = "4-purple-sausages"

roles = pytest.mark.parametrize("side", ["0" * 16, "f" * 16], ids=["leading", "following"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailboxServer]:
    with MailboxServer(tmp_path_factory.mktemp("mailbox")) as running:
        yield running


class Streaming(Told):
    """Sends many records, a few at a time, then closes; keeps what it is told."""

    def __init__(self, records: int, address: Any) -> None:
        super().__init__(address)
        self.records, self.sent = records, 0
        self.is_over = False

    def connectionMade(self) -> None:
        self.more()

    def more(self) -> None:
        for _ in range(5):
            if self.sent < self.records:
                self.transport.write(record(self.sent))
                self.sent += 1
        if self.sent < self.records:
            real.callLater(0.001, self.more)

    def connectionLost(self, reason: Any = None) -> None:
        self.is_over = True


def record(number: int) -> bytes:
    return b"%d:" % number + bytes(number * 37 % 5_000)


def link(wormhole: Any) -> Any:
    """The connection of ours, if there is one."""
    return wormhole._inner._happening.dilation._dilation._traffic.link


def cut(wormhole: Any) -> None:
    """Abort the connection."""
    if link(wormhole) is not None:
        link(wormhole).abort()


async def pair(
    server: MailboxServer, monkeypatch: pytest.MonkeyPatch, side: str, **options: Any
) -> tuple[Any, Any, Any, Any]:
    """Our wormhole and a stock one, dilated; `side` is the name of the latter."""
    monkeypatch.setattr(stock_manager, "make_side", lambda: side)
    ours = holdfast.create(APPID, server.url, real)
    theirs = stock.create(APPID, server.url, real, dilation=True)
    x, y = ours.dilate(**options), theirs.dilate(**options)
    ours.allocate_code()
    theirs.set_code(await ours.get_code())
    await x.when_dilated()
    await y.when_dilated()
    return ours, theirs, x, y


@roles
def test_streams_over_broken_connections(
    server: MailboxServer, relay: str, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    """Two streams through a relay, one each way; each third of them the connection is aborted."""
    count = 300

    async def streaming() -> None:
        options = {"transit_relay_location": relay, "no_listen": True}
        ours, theirs, x, y = await pair(server, monkeypatch, side, **options)
        assert "relay" in link(ours).describe
        listening = [Made(Told) for _ in range(2)]
        await x.listener_for("to-us").listen(listening[0])
        await y.listener_for("to-stock").listen(listening[1])
        sending = Made(lambda address: Streaming(count, address))
        await x.connector_for("to-stock").connect(sending)
        await y.connector_for("to-us").connect(sending)
        await reactor.until(lambda: all(each.made for each in listening), "both are open")
        ends = [each.made[0] for each in listening]
        for third in (100, 200):
            await reactor.until(lambda n=third: len(ends[0].data) > n, "a third has come")
            cut(ours)
        expected = [record(number) for number in range(count)]
        await reactor.until(lambda: all(len(end.data) == count for end in ends), "all has come")
        assert [end.data for end in ends] == [expected, expected]
        sending.made[0].transport.loseConnection()
        ends[0].transport.loseConnection()
        await reactor.until(lambda: all(each.is_over for each in sending.made), "they are closed")
        await ours.close()
        await theirs.close()

    reactor.run(streaming)


@roles
def test_the_three_endpoints(
    server: MailboxServer, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    """To stock they are subprotocols like others; and our close closes its subchannels."""

    async def talking() -> None:
        ours, theirs, x, y = await pair(server, monkeypatch, side)
        control, client, listener = await x
        made = Made()
        waiting = control.connect(Made())
        if side == "f" * 16:  # stock leads, and the leader opens it
            await y.connector_for("holdfast.control").connect(made)
        else:
            await y.listener_for("holdfast.control").listen(made)
        mine = [await waiting]
        await y.listener_for("holdfast.subchannel").listen(made)
        mine.append(await client.connect(Made()))
        serving = Made()
        await listener.listen(serving)
        await y.connector_for("holdfast.subchannel").connect(made)
        await reactor.until(lambda: len(made.made) == 3 and serving.made, "all are there")
        mine += serving.made
        for each in (*mine, *made.made):
            each.transport.write(b"hello")
        ends = [*mine, *made.made]
        await reactor.until(lambda: all(each.data == [b"hello"] for each in ends), "all have heard")
        assert await ours.close() == "happy"
        assert all(each.told[-1] == "ConnectionDone" for each in mine)
        await reactor.until(
            lambda: all(each.told[-1] == "ConnectionDone" for each in made.made), "stock is told"
        )
        await theirs.close()

    reactor.run(talking)
