"""What an operator may write after --listen."""

from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.testing import MemoryReactorClock

from holdfast.operating.addresses import TransitRelay, checked_transit
from holdfast.server import AddressUnusable
from holdfast.server.address import endpoint, transit, url


@pytest.mark.parametrize(
    ("listen", "interface", "port"),
    [
        ("127.0.0.1:4000", "127.0.0.1", 4000),
        ("localhost:0", "localhost", 0),
        ("[::]:4000", "::", 4000),
        ("[fe80::1%eth0]:4000", "fe80::1%eth0", 4000),
        ("tcp:4000", "", 4000),
        (r"tcp6:4000:interface=\:\:1", "::1", 4000),
    ],
)
def test_listens_where_it_is_told(listen: str, interface: str, port: int) -> None:
    """Each way to write an address listens on that interface and port."""
    reactor = MemoryReactorClock()
    endpoint(reactor, listen).listen(object())
    assert [(server[3], server[0]) for server in reactor.tcpServers] == [(interface, port)]


@pytest.mark.parametrize(
    "listen",
    ["", "4000", ":4000", "::1:4000", "host:", "host:x", "[::1]", "host:65536", "what:1:2"],
)
def test_other_words_are_refused_with_the_words(listen: str) -> None:
    """What names no address is refused in one line that quotes it."""
    with pytest.raises(AddressUnusable) as refused:
        endpoint(MemoryReactorClock(), listen)
    assert listen in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("listen", "bound", "expected"),
    [
        ("127.0.0.1:0", IPv4Address("TCP", "127.0.0.1", 5), "ws://127.0.0.1:5/v1"),
        ("[::]:0", IPv6Address("TCP", "::", 5), "ws://[::]:5/v1"),
        ("ssl:443:privateKey=k.pem", IPv4Address("TCP", "0.0.0.0", 443), "wss://0.0.0.0:443/v1"),
        ("unix:/run/m", UNIXAddress("/run/m"), "/run/m"),
    ],
)
def test_the_url_is_of_the_address_bound(listen: str, bound: object, expected: str) -> None:
    """What is printed is what a client gives as its relay URL."""
    assert url(listen, bound) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        (IPv4Address("TCP", "127.0.0.1", 5), TransitRelay("127.0.0.1", 5)),
        (IPv6Address("TCP", "::1", 5), TransitRelay("::1", 5)),
    ],
)
def test_clients_take_what_the_transit_relay_says(bound: Any, expected: TransitRelay) -> None:
    """What is printed is what `--transit` takes."""
    said = transit("anything", bound)
    assert said.startswith("tcp:")
    assert checked_transit(said, "--transit") == expected


def test_a_transit_relay_behind_a_unix_socket() -> None:
    """Only whoever forwards to it knows an address for clients."""
    assert transit("unix:/run/t", UNIXAddress("/run/t")) == "/run/t"  # type: ignore[arg-type]
