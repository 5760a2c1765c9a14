"""Connections to the real mailbox server."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from attrs import define, field
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from holdfast.rendezvous.boundaries import ConnectionEnded
from holdfast.rendezvous.connector import Connector
from holdfast.rendezvous.dialer import Dialer
from holdfast.rendezvous.websocket import WebSocket
from tests.harness.reactor import run
from tests.harness.server import MailboxServer
from tests.rendezvous.reality import Waiter


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailboxServer]:
    with MailboxServer(tmp_path_factory.mktemp("mailbox")) as running:
        yield running


def test_welcome_and_good_bye(server: MailboxServer) -> None:
    """The server welcomes, answers a ping, and says good-bye."""

    async def talk() -> None:
        waiter = Waiter()
        link = Dialer(reactor).dial(server.url, waiter)
        await waiter.until_messages(1)
        assert json.loads(waiter.messages[0])["type"] == "welcome"
        link.send(json.dumps({"type": "ping", "id": "01", "ping": 7}))
        await waiter.until_messages(3)
        assert json.loads(waiter.messages[2])["pong"] == 7
        link.close()
        ended = await waiter.ending
        assert ended == ConnectionEnded("we closed the connection", clean=True)

    run(talk)


def test_long_message(server: MailboxServer) -> None:
    """A message of several megabytes goes out and comes back whole."""

    async def talk() -> None:
        waiter = Waiter()
        link = Dialer(reactor).dial(server.url, waiter)
        await waiter.opening
        body = "ab" * 2_000_000

        def say(**fields: Any) -> None:
            link.send(json.dumps({"id": "00", **fields}))

        say(type="bind", appid="a", side="aa", client_version=["x", "1"])
        say(type="open", mailbox="long")
        say(type="add", phase="0", body=body)
        say(type="ping", ping=1)
        while "pong" not in [json.loads(text)["type"] for text in waiter.messages]:
            await waiter.until_messages(len(waiter.messages) + 1)
        assert body in [json.loads(text).get("body") for text in waiter.messages]
        say(type="close", mailbox="long", mood="happy")
        link.close()
        assert (await waiter.ending).clean

    run(talk)


def test_nonsense_cuts(server: MailboxServer) -> None:
    """What the server does not understand makes it cut the connection, and that is told."""

    async def talk() -> None:
        waiter = Waiter()
        link = Dialer(reactor).dial(server.url, waiter)
        await waiter.opening
        link.send("this is no JSON")
        assert not (await waiter.ending).clean

    run(talk)


def test_wrong_path(server: MailboxServer) -> None:
    """Where the server has only a page, the answer is HTTP."""

    async def talk() -> None:
        waiter = Waiter()
        Dialer(reactor).dial(server.url.removesuffix("v1") + "nothing", waiter)
        assert "HTTP 404" in (await waiter.ending).reason

    run(talk)


@define(eq=False)
class Home:
    """An owner that notes its news and can be waited for."""

    connector: Connector | None = None
    links: list[WebSocket] = field(factory=list)
    news: list[str] = field(factory=list)
    _waiting: list[tuple[str, int, Deferred[None]]] = field(factory=list)

    def until(self, kind: str, count: int) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        self._waiting.append((kind, count, done))
        self._look()
        return done

    def _note(self, kind: str) -> None:
        self.news.append(kind)
        self._look()

    def _look(self) -> None:
        for item in list(self._waiting):
            kind, count, done = item
            if self.news.count(kind) >= count:
                self._waiting.remove(item)
                done.callback(None)

    def connected(self, link: WebSocket) -> None:
        self.links.append(link)
        self._note("connected")

    def received(self, texts: Sequence[str]) -> None:
        for text in texts:
            if json.loads(text)["type"] == "welcome" and self.connector is not None:
                self.connector.welcomed()
                self._note("welcome")

    def disconnected(self, reason: ConnectionEnded) -> None:
        self._note("disconnected")

    def failed(self, reason: ConnectionEnded, retry_in: float) -> None:
        self._note("failed")


class Soon(Random):
    """Delays of a few hundredths of a second, so that a test does not wait."""

    def uniform(self, a: float, b: float) -> float:
        return super().uniform(0.01, 0.05)


def test_server_is_killed_and_comes_back(tmp_path: Path) -> None:
    """Fifty connected wormholes come back to a server that was killed and restarted."""
    homes = [Home() for _ in range(50)]
    with MailboxServer(tmp_path) as server:

        async def begin() -> None:
            dialer, chance = Dialer(reactor, limit=5), Soon(1)
            for home in homes:
                home.connector = Connector(dialer, server.url, home, chance)
                home.connector.start()
            for home in homes:
                await home.until("welcome", 1)

        async def lose() -> None:
            for home in homes:
                await home.until("disconnected", 1)
                await home.until("failed", 1)

        async def again() -> None:
            for home in homes:
                await home.until("welcome", 2)
            for home in homes:
                assert home.connector is not None
                await home.connector.stop()
                assert not home.links[-1].is_open

        run(begin)
        server.kill9()
        run(lose)
        server.start()
        run(again)
    assert all(home.news.count("connected") == 2 for home in homes)
