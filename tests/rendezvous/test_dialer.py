"""Many connections at once, a few handshakes at a time."""

import pytest
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.error import DNSLookupError
from twisted.internet.task import Clock

from holdfast.rendezvous.dialer import HANDSHAKE_TIME, BadRelayUrl, Dialer
from tests.rendezvous.line import URL, Ear, Exchange


def make(limit: int = 64) -> tuple[Clock, Exchange, Dialer]:
    clock = Clock()
    exchange = Exchange(clock)
    return clock, exchange, Dialer(clock, limit=limit, endpoints=exchange)


def test_dialling() -> None:
    """A dialled server answers, and the listener's socket is open."""
    _, exchange, dialer = make()
    ear = Ear()
    socket = dialer.dial(URL, ear)
    assert (ear.heard, dialer.under_way) == ([], 1)
    line = exchange.last.put_through()
    assert (ear.heard, dialer.under_way) == ([], 1)
    line.accept()
    assert (ear.heard, dialer.under_way) == (["opened"], 0)
    socket.send("hello")
    assert line.texts == ["hello"]
    assert exchange.last.uri.host == "relay.example"


def test_bad_address() -> None:
    """A URL that no server can have is refused at once."""
    _, exchange, dialer = make()
    with pytest.raises(BadRelayUrl):
        dialer.dial("http://relay.example/", Ear())
    assert exchange.calls == []


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (Refused(), "refuses connections"),
        (DNSLookupError(), "name cannot be found"),
        (ValueError("odd"), "odd"),
    ],
)
def test_no_connection(problem: Exception, reason: str) -> None:
    """A server that cannot be reached ends the attempt, for a reason that says why."""
    clock, exchange, dialer = make()
    ear = Ear()
    dialer.dial(URL, ear)
    exchange.last.refuse(problem)
    clock.advance(0)
    assert ear.end.reason.startswith("cannot connect: ")
    assert reason in ear.end.reason
    assert ear.end.cause is problem
    assert dialer.under_way == 0
    clock.advance(1000)
    assert ear.end


def test_endpoint_that_raises() -> None:
    """An endpoint that cannot even be made is a failed attempt like others, told later."""
    clock = Clock()

    def impossible(_: object) -> object:
        raise ValueError("no such thing")

    dialer = Dialer(clock, endpoints=impossible)
    ears = [Ear() for _ in range(200)]
    for ear in ears:
        dialer.dial(URL, ear)
    assert all(ear.heard == [] for ear in ears)
    clock.advance(0)
    assert all("no such thing" in ear.end.reason for ear in ears)
    assert dialer.under_way == 0


@pytest.mark.parametrize("put_through", [False, True])
def test_time_limit(put_through: bool) -> None:
    """A server that does not answer, or accepts and then says nothing, is left in time."""
    clock, exchange, dialer = make()
    ear = Ear()
    dialer.dial(URL, ear)
    if put_through:
        exchange.last.put_through()
    clock.advance(HANDSHAKE_TIME - 1)
    assert ear.heard == []
    clock.advance(1)
    clock.advance(0)
    assert ear.end.reason == "no connection within 30 seconds"
    assert dialer.under_way == 0


def test_time_limit_ends_with_the_handshake() -> None:
    """Once open, a connection is not subject to the limit."""
    clock, exchange, dialer = make()
    ear = Ear()
    dialer.dial(URL, ear)
    exchange.last.open()
    clock.advance(HANDSHAKE_TIME + 5)
    assert ear.heard == ["opened"]


def test_turns() -> None:
    """No more than the limit are under way at a time; the others follow in their order."""
    clock, exchange, dialer = make(limit=10)
    ears = [Ear() for _ in range(200)]
    for number, ear in enumerate(ears):
        dialer.dial(f"ws://relay.example/{number}", ear)
    assert (len(exchange.calls), dialer.under_way, dialer.waiting) == (10, 10, 190)
    for number in range(200):
        call = exchange.calls[number]
        assert dialer.under_way == min(10, 200 - number)
        if number % 3:
            call.open()
        else:
            call.refuse(Refused())
        clock.advance(0)
    assert [call.uri.path for call in exchange.calls] == [f"/{n}" for n in range(200)]
    assert (dialer.under_way, dialer.waiting) == (0, 0)
    assert [ear.heard == ["opened"] for ear in ears] == [bool(n % 3) for n in range(200)]


def test_giving_up_in_line() -> None:
    """A socket that is given up while it waits in line takes nobody's turn."""
    clock, exchange, dialer = make(limit=1)
    ears = [Ear() for _ in range(3)]
    sockets = [dialer.dial(f"ws://relay.example/{n}", ear) for n, ear in enumerate(ears)]
    sockets[1].abort("changed my mind")
    assert (ears[1].heard, dialer.waiting) == ([], 1)
    clock.advance(0)
    assert ears[1].end.reason == "changed my mind"
    exchange.last.open()
    exchange.last.open()
    assert [call.uri.path for call in exchange.calls] == ["/0", "/2"]
    assert ears[2].heard == ["opened"]


@pytest.mark.parametrize("how", ["close", "abort"])
def test_giving_up_while_dialling(how: str) -> None:
    """A socket that is given up while it is dialled frees its place; a late answer is dropped."""
    clock, exchange, dialer = make(limit=1)
    ear, next_ear = Ear(), Ear()
    socket = dialer.dial(URL, ear)
    dialer.dial(URL, next_ear)
    call = exchange.last
    getattr(socket, how)()
    assert ear.heard == []
    assert dialer.under_way == 1
    assert exchange.last is not call
    line = call.put_through()
    clock.advance(0)
    assert ear.heard == [ear.end]
    assert line.written == b""
    assert not line.connected
    exchange.last.open()
    assert next_ear.heard == ["opened"]


def test_factory_makes_one_protocol() -> None:
    """A second connection for one socket, from a race between addresses, gets no protocol."""
    _, exchange, dialer = make()
    dialer.dial(URL, Ear())
    assert exchange.last.factory.buildProtocol(None) is not None
    assert exchange.last.factory.buildProtocol(None) is None
