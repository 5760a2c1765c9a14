"""Keeping one wormhole connected."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.task import Clock

from holdfast.rendezvous.boundaries import ConnectionEnded
from holdfast.rendezvous.connector import (
    LONGEST_DELAY,
    SHORT_LIFE,
    SHORT_LIVES,
    WELCOME_TIME,
    Connector,
    ConnectorStage,
)
from holdfast.rendezvous.dialer import BadRelayUrl, Dialer
from holdfast.rendezvous.websocket import CLOSE_TIMEOUT, WebSocket
from tests.rendezvous.line import URL, Exchange, Line


class Longest:
    """Chance that always draws the longest delay."""

    def uniform(self, a: float, b: float, /) -> float:
        assert a <= b
        return b


@define(eq=False)
class Household:
    """A connector, its owner, and the exchange that it dials."""

    jitter: Any = field(factory=Longest)
    clock: Clock = field(factory=Clock)
    told: list[Any] = field(factory=list)
    links: list[WebSocket] = field(factory=list)
    exchange: Exchange = field(init=False)
    connector: Connector = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.exchange = Exchange(self.clock)
        dialer = Dialer(self.clock, endpoints=self.exchange)
        self.connector = Connector(dialer, URL, self, self.jitter)

    def connected(self, link: WebSocket) -> None:
        self.told.append("connected")
        self.links.append(link)

    def received(self, texts: Sequence[str]) -> None:
        self.told.extend(texts)

    def disconnected(self, reason: ConnectionEnded) -> None:
        self.told.append(("disconnected", reason.reason))

    def failed(self, reason: ConnectionEnded, retry_in: float) -> None:
        self.told.append(("failed", retry_in))

    def refuse(self) -> None:
        self.exchange.last.refuse(Refused())
        self.clock.advance(0)

    def open(self) -> Line:
        line = self.exchange.last.open()
        line.say("welcome")
        self.connector.welcomed()
        return line

    def wait_for_call(self) -> int:
        """Let seconds pass until the next attempt; how many did."""
        calls, seconds = len(self.exchange.calls), 0
        while len(self.exchange.calls) == calls:
            self.clock.advance(1)
            seconds += 1
        return seconds


def started(**kwargs: Any) -> Household:
    household = Household(**kwargs)
    household.connector.start()
    return household


def test_a_good_day() -> None:
    """Connected, spoken with, stopped; the owner hears nothing of the stopping."""
    home = started()
    line = home.open()
    home.links[0].send("hello")
    assert line.texts == ["hello"]
    assert home.told == ["connected", "welcome"]
    fired: list[None] = []
    home.connector.stop().addCallback(fired.append)
    line.say("too late")
    assert fired == []
    line.flush()
    line.hang_up()
    assert fired == [None]
    assert home.connector.stage is ConnectorStage.STOPPED
    assert home.told == ["connected", "welcome"]
    home.clock.advance(1000)
    assert len(home.exchange.calls) == 1
    assert home.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("longest", "expected"), [(60.0, [2, 4, 8, 16, 32, 60, 60]), (5.0, [2, 4, 5, 5, 5, 5, 5])]
)
def test_delays_grow(longest: float, expected: list[float]) -> None:
    """Each failure doubles the delay, up to a minute; the owner is told how long it is."""
    home = started()
    home.connector.longest_delay = longest
    delays = []
    for _ in expected:
        home.refuse()
        delays.append(home.told[-1][1])
        calls = len(home.exchange.calls)
        home.clock.advance(delays[-1] - 0.5)
        assert len(home.exchange.calls) == calls
        home.clock.advance(0.5)
        assert len(home.exchange.calls) == calls + 1
    assert delays == expected


def test_delays_are_spread() -> None:
    """Delays are between one second and one minute, and differ from wormhole to wormhole."""
    homes = [started(jitter=Random(seed)) for seed in range(50)]
    for _ in range(12):
        for home in homes:
            home.refuse()
            home.clock.advance(home.told[-1][1])
    delays = [[delay for _, delay in home.told] for home in homes]
    assert all(1 <= delay <= LONGEST_DELAY for each in delays for delay in each)
    assert len({each[0] for each in delays}) == len({each[-1] for each in delays}) == 50


def test_welcome_resets_the_delay() -> None:
    """After a good welcome the delays begin anew; after a mere connection they do not."""
    home = started()
    for _ in range(3):
        home.refuse()
        home.clock.advance(60)
    line = home.exchange.last.open()
    line.hang_up()
    home.clock.advance(16)
    home.open().hang_up()
    assert home.told[-1] == ("disconnected", "the server cut the connection")
    calls = len(home.exchange.calls)
    home.clock.advance(2)
    assert len(home.exchange.calls) == calls + 1


def test_server_that_welcomes_and_cuts() -> None:
    """A server that welcomes and cuts at once, again and again, is visited less and less."""
    home = started()
    waits = []
    for _ in range(SHORT_LIVES + 4):
        home.open().hang_up()
        waits.append(home.wait_for_call())
    assert waits == [2, 2, 2, 2, 2, 4, 8, 16, 32]
    line = home.open()
    home.clock.advance(SHORT_LIFE)
    line.hang_up()
    home.clock.advance(60)
    line = home.open()
    line.hang_up()
    calls = len(home.exchange.calls)
    home.clock.advance(2)
    assert len(home.exchange.calls) == calls + 1


def test_new_links() -> None:
    """Each connection is a link of its own; what is sent on an old one never leaves."""
    home = started()
    first = home.open()
    first.hang_up()
    home.clock.advance(2)
    second = home.open()
    home.links[0].send("old")
    home.links[1].send("new")
    assert (first.texts, second.texts) == ([], ["new"])


def test_mute_server() -> None:
    """A server that accepts and then says nothing is left, and tried again."""
    home = started()
    home.exchange.last.open()
    home.clock.advance(WELCOME_TIME)
    home.clock.advance(0)
    assert home.told == [
        "connected",
        ("disconnected", "no welcome from the server within 30 seconds"),
    ]
    home.clock.advance(60)
    assert len(home.exchange.calls) == 2


def test_retry_now() -> None:
    """A pause can be cut short; at any other time that changes nothing."""
    home = started()
    home.connector.retry_now()
    home.refuse()
    home.connector.retry_now()
    assert len(home.exchange.calls) == 2
    home.connector.retry_now()
    home.open()
    home.connector.retry_now()
    home.clock.advance(20)
    assert len(home.exchange.calls) == 2


def test_owner_drops_a_link() -> None:
    """An owner that does not like what it hears drops the link and gets another."""
    home = started()
    home.open()
    home.links[0].abort("nonsense")
    home.clock.advance(0)
    assert home.told[-1] == ("disconnected", "nonsense")
    home.clock.advance(2)
    assert len(home.exchange.calls) == 2


@pytest.mark.parametrize("stage", list(ConnectorStage))
def test_stopping_at_any_time(stage: ConnectorStage) -> None:
    """Stopping works in every stage, ends for good, and can be asked for twice."""
    home = Household()
    line = None
    if stage is not ConnectorStage.NEW:
        home.connector.start()
    if stage in (ConnectorStage.CONNECTED, ConnectorStage.STOPPING):
        line = home.open()
    if stage is ConnectorStage.PAUSING:
        home.refuse()
    if stage in (ConnectorStage.STOPPING, ConnectorStage.STOPPED):
        home.connector.stop()
    if stage is ConnectorStage.STOPPED:
        home.clock.advance(0)
    assert home.connector.stage is stage
    told = list(home.told)
    fired: list[None] = []
    home.connector.stop().addCallback(fired.append)
    home.connector.stop().addCallback(fired.append)
    if line is not None:
        line.deaf = True
    home.clock.advance(CLOSE_TIMEOUT)
    home.clock.advance(0)
    assert fired == [None, None]
    assert home.connector.stage is ConnectorStage.STOPPED
    assert home.told == told
    home.clock.advance(1000)
    assert home.clock.getDelayedCalls() == []


@pytest.mark.parametrize("where", ["connected", "received", "disconnected", "failed"])
def test_stopping_inside_callbacks(where: str) -> None:
    """The owner may give up in any call, and hears nothing after it."""
    home = Household()
    calls: list[str] = []

    class Quitter:
        """Stops when told *where*."""

        def __getattr__(self, name: str) -> Any:
            def told(*_: object) -> None:
                calls.append(name)
                if name == where:
                    connector.stop()

            return told

    connector = Connector(Dialer(home.clock, endpoints=home.exchange), URL, Quitter(), Longest())
    connector.start()
    if where == "failed":
        home.refuse()
    else:
        line = home.exchange.last.open()
        line.say("welcome")
        line.say("more")
        line.hang_up()
    home.clock.advance(1000)
    assert calls[-1] == where
    assert where == "disconnected" or calls.count(where) == 1
    assert connector.stage is ConnectorStage.STOPPED
    assert len(home.exchange.calls) == 1


def test_starting_twice() -> None:
    """A connector lives once."""
    home = started()
    with pytest.raises(RuntimeError, match="once"):
        home.connector.start()
    home.connector.stop()
    with pytest.raises(RuntimeError, match="once"):
        home.connector.start()


def test_bad_address() -> None:
    """A URL that no server can have is refused before anything begins."""
    home = Household()
    with pytest.raises(BadRelayUrl):
        Connector(Dialer(home.clock), "ftp://relay.example", home, Longest())
