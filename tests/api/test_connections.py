"""Connections of the public API: many at once, lost and found, and the first failure."""

import socket
from typing import Any

import pytest
from twisted.internet import reactor as real
from twisted.internet.defer import gatherResults

import holdfast
from holdfast.status import Connecting, Disconnected, Unreachable
from tests.api.world import APPID
from tests.harness import reactor
from tests.harness.scripted import StockPeer
from tests.harness.server import MailboxServer

MANY = 60


def test_many_wormholes_at_once_against_a_slow_server(mailbox: MailboxServer) -> None:
    """The server stands still while they start, and they all succeed."""
    mailbox.pause()
    tried: list[Any] = []

    async def begin() -> list[Any]:
        made = [
            holdfast.create(APPID, mailbox.url, real, on_status_update=tried.append)
            for _ in range(MANY)
        ]
        for each in made:
            each.allocate_code()
        await reactor.until(lambda: len(tried) >= MANY, "all of them to try")
        return made

    made = reactor.run(begin)
    assert {type(each.mailbox_connection) for each in tried} == {Connecting}
    mailbox.resume()

    async def end() -> list[str]:
        codes: list[str] = await gatherResults([each.get_code() for each in made])
        for each in made:
            each.close().addErrback(lambda failure: failure.trap(holdfast.LonelyError))
        await gatherResults([each._inner.when_down() for each in made])
        return codes

    assert len(set(reactor.run(end, timeout=60))) == MANY
    mailbox.wait_until_empty()


def test_the_first_failure_is_final_only_if_asked_for() -> None:
    """Against a port that refuses: an error with the reason, or another attempt."""

    async def exchange() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"ws://127.0.0.1:{unused.getsockname()[1]}/v1"
            news: list[Any] = []
            patient = holdfast.create(APPID, url, real, on_status_update=news.append)
            hasty = holdfast.create(APPID, url, real, first_failure_is_final=True)
            with pytest.raises(holdfast.ServerConnectionError, match="refuses connections"):
                await hasty.get_welcome()
            with pytest.raises(holdfast.ServerConnectionError):
                await hasty.close()
            await reactor.until(lambda: len(news) > 1, "its failure")
            assert isinstance(news[1].mailbox_connection, Unreachable)
            assert 1 <= news[1].mailbox_connection.retry_in <= 2
            with pytest.raises(holdfast.LonelyError):
                await patient.close()

    reactor.run(exchange)


def test_reconnecting_to_a_server_that_was_killed(tmp_path: Any) -> None:
    """In Deferred mode: what was sent while it was away arrives, both ways, once."""
    news: list[Any] = []
    with MailboxServer(tmp_path) as server:

        async def begin() -> tuple[Any, StockPeer]:
            ours = holdfast.create(
                APPID,
                server.url,
                real,
                on_status_update=lambda status: news.append(status.mailbox_connection),
            )
            stock = StockPeer(server.url, appid=APPID)
            ours.allocate_code()
            stock.wormhole.set_code(await ours.get_code())
            await ours.get_verifier()
            return ours, stock

        ours, stock = reactor.run(begin)
        server.kill9()

        async def send() -> None:
            ours.send_message(b"ours")
            stock.wormhole.send_message(b"theirs")

        reactor.run(send)
        server.start()

        async def end() -> None:
            assert await ours.get_message() == b"theirs"
            assert await stock.wormhole.get_message() == b"ours"
            assert await ours.close() == await stock.close() == "happy"

        reactor.run(end, timeout=60)
        server.wait_until_empty()
    assert [type(each) for each in news].count(Disconnected) == 1


def test_wormholes_of_one_reactor_take_turns() -> None:
    """They share a dialler, so that a server is not stormed."""
    from holdfast.api import connectors

    first, second = connectors(real), connectors(real)
    dialers = {
        id(make("ws://relay.example/v1", None)._dialer)  # type: ignore[arg-type]
        for make in (first, second)
    }
    assert len(dialers) == 1
