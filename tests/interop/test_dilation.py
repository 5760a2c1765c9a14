"""Dilated wormholes with the stock library at the other end, which follows or leads.

Every record is checked at both ends, and every close. What the stock peer logs as an error fails
the test.
"""

import os
import random
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor as loop
from twisted.internet.protocol import Factory

from holdfast.dilation import anew, connecting
from holdfast.transit import through
from holdfast.transit.network import Internet
from tests.harness.cable import Cable
from tests.harness.dilated import HIGHEST, LOWEST, DilatedPeers, wanted
from tests.harness.process import BIN, Child
from tests.harness.server import MailboxServer
from tests.harness.streams import Stream
from tests.harness.waiting import until
from tests.interop.dilation import OurEnd

ALL_SORTS = (
    Stream("one-way", "a", a=30, sizes="mixed"),
    Stream("the-other", "b", b=30, sizes="mixed"),
    Stream("both-ways", "a", a=30, b=20),
    Stream("half-closed", "b", a=20, b=30, sizes="mixed", half=True),
    Stream("large", "a", a=2, b=3, sizes="large"),
    Stream("nothing", "b"),
)

LEADS_AND_FOLLOWS = pytest.mark.parametrize("side", [HIGHEST, LOWEST], ids=["leads", "follows"])
"""We do."""


@pytest.fixture(scope="module")
def stock(server: MailboxServer) -> Iterator[DilatedPeers]:
    with DilatedPeers(server.url) as peers:
        yield peers


@pytest.fixture
def code() -> str:
    """A new one."""
    return f"{secrets.randbelow(1_000_000)}-dilated"


def check(ours: OurEnd, stock: DilatedPeers, code: str, streams: tuple[Stream, ...]) -> None:
    """All streams end at both ends as they should, and so do the wormholes."""
    assert ours.talks() == wanted(streams, "a")
    assert stock.talks(code) == wanted(streams, "b")
    assert ours.leave() == "happy"
    assert stock.leave(code) == "happy"
    assert stock.errors == []


@pytest.mark.parametrize(
    ("side", "delegated"), [(HIGHEST, True), (LOWEST, False)], ids=["delegated", "deferred"]
)
def test_directly(
    server: MailboxServer, stock: DilatedPeers, code: str, side: str, delegated: bool
) -> None:
    """Records of all sizes, both ways and one way, half-closed and not, in both modes and roles."""
    stock.start(code, ALL_SORTS)
    ours = OurEnd(server.url, code, ALL_SORTS, side=side, delegated=delegated)
    check(ours, stock, code, ALL_SORTS)
    assert all("tcp" in way for way in stock.ways(code))


def test_through_a_relay(server: MailboxServer, stock: DilatedPeers, relay: str, code: str) -> None:
    """The only way, if nobody listens."""
    stock.start(code, ALL_SORTS, transit=relay, no_listen=True)
    ours = OurEnd(server.url, code, ALL_SORTS, transit_relay_location=relay, no_listen=True)
    check(ours, stock, code, ALL_SORTS)
    assert all("relay" in way for way in stock.ways(code))


def test_many_subchannels(server: MailboxServer, stock: DilatedPeers, code: str) -> None:
    """A hundred at once, opened by either side."""
    streams = tuple(Stream(f"no-{n}", "ab"[n % 2], a=n % 5, b=n % 7) for n in range(100))
    stock.start(code, streams)
    check(OurEnd(server.url, code, streams), stock, code, streams)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    seed = os.environ.get("SEED") or secrets.token_hex(4)
    print(f"SEED={seed}")
    return random.Random(f"{seed} {request.node.name}")


class Detour(Internet):
    """Connections that are cut, each behind so many bytes; the last of them last."""

    def __init__(self, lasts: list[int]) -> None:
        super().__init__(loop)
        self._lasts = lasts
        self.cables: list[Cable] = []

    def connect(self, host: str, port: int, factory: Factory) -> Any:
        lasts = self._lasts[len(self.cables) :][:1]
        self.cables.append(Cable(port, lasts))
        return super().connect("127.0.0.1", self.cables[-1].port, factory)


@LEADS_AND_FOLLOWS
def test_cut_at_random_bytes(
    server: MailboxServer,
    stock: DilatedPeers,
    code: str,
    side: str,
    rng: random.Random,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the middle of a record, or of the handshake."""
    # Seconds are for networks.
    monkeypatch.setattr(connecting, "FIRST_AGAIN", 0.3)
    monkeypatch.setattr(anew, "LONGEST_PAUSE", 0.2)
    detour = Detour([rng.randrange(1, 500), *(rng.randrange(500_000) for _ in range(5))])
    through(loop, detour)
    stock.start(code, ALL_SORTS)
    ours = OurEnd(server.url, code, ALL_SORTS, side=side, no_listen=True)
    try:
        check(ours, stock, code, ALL_SORTS)
    finally:
        through(loop, Internet(loop))
        for each in detour.cables:
            each.close()
    assert len(detour.cables) > 5


def test_relay_and_mailbox_server_are_killed(
    tmp_path: Path, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nobody is connected and both sides have told each other so."""
    monkeypatch.setattr(connecting, "FIRST_AGAIN", 0.3)
    with MailboxServer(tmp_path) as server, DilatedPeers(server.url) as stock:
        relay = start_relay()
        with Cable(port_of(relay), [400_000, 400_000]) as cable:
            way = f"tcp:127.0.0.1:{cable.port}"
            stock.start(code, ALL_SORTS, transit=way, no_listen=True)
            ours = OurEnd(server.url, code, ALL_SORTS, transit_relay_location=way, no_listen=True)
            until(lambda: cable.cuts, "a cut")
            relay.kill9()
            server.restart()
            with start_relay(port_of(relay)):
                check(ours, stock, code, ALL_SORTS)


def start_relay(port: int = 0) -> Child:
    return Child([BIN / "holdfast", "relay", "--listen", f"127.0.0.1:{port}"])


def port_of(relay: Child) -> int:
    return int(relay.wait_for(r"tcp:127\.0\.0\.1:(\d+)$")[1])
