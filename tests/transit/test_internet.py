"""The real network: loopback, IPv4 and IPv6, and what becomes of a descriptor."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

import pytest
from twisted.internet import reactor as real
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone
from twisted.internet.threads import deferToThread

from holdfast.transit.contest import Candidate, Contest, Link
from holdfast.transit.errors import WireError
from holdfast.transit.hints import DirectHint, Hint, RelayHint, address, parse
from holdfast.transit.keys import Role, TransitKeys
from holdfast.transit.network import Internet, network_of, reachable, through
from holdfast.transit.wire import receive_exactly
from tests.harness import reactor
from tests.transit.memory_network import Made, Scripted, World

KEYS = TransitKeys(bytes(32))


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as own:
            own.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6")
FAMILIES = ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)]


class Eager:
    """Chooses whatever is offered."""

    def __init__(self, role: Role, **how: Any) -> None:
        self.link: Deferred[Link] = Deferred()
        self.contest = Contest(Internet(real), KEYS, role, self, side=os.urandom(8).hex(), **how)

    def ready(self, candidate: Candidate) -> None:
        candidate.choose().chainDeferred(self.link)

    def exhausted(self, reason: str) -> None:
        raise AssertionError(reason)


def test_addresses() -> None:
    """Those of the host's interfaces; at least one."""
    found = Internet(real).addresses()
    assert found
    assert len(set(found)) == len(found)


def test_reachable() -> None:
    """Not those that mean something only here, unless there are no others."""
    all_of_them = ["127.0.0.1", "::1", "fe80::1%eth0", "2001:db8::1", "192.0.2.1", "169.254.0.1"]
    assert reachable(all_of_them) == ["192.0.2.1", "2001:db8::1"]
    assert reachable(["127.0.0.1", "::1"]) == reachable([]) == ["127.0.0.1"]
    assert len(reachable([f"192.0.2.{each}" for each in range(200)])) == 12


@pytest.mark.parametrize("host", FAMILIES)
def test_a_link(host: str) -> None:
    """Two contests over one port number for IPv4 and IPv6; the wires carry what threads send."""

    async def connecting() -> None:
        sender, receiver = Eager("sender"), Eager("receiver", listen=False)
        port = await sender.contest.listen()
        assert port is not None
        receiver.contest.dial([DirectHint(host, port)])
        one, two = await sender.link, await receiver.link
        for link in (one, two):
            handle = link.transport.getHandle()
            assert handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        ours, theirs = one.wire(), two.wire()
        await sender.contest.stop()
        await receiver.contest.stop()

        def exchange() -> bytes:
            sent = threading.Thread(target=ours.send, args=(b"x" * 1_000_000,))
            sent.start()
            received = receive_exactly(theirs, 1_000_000)
            sent.join()
            return received

        assert await deferToThread(exchange) == b"x" * 1_000_000
        ours.close()
        assert await deferToThread(theirs.receive_into, memoryview(bytearray(1))) == 0
        theirs.close()
        assert await sender.contest.listen(port) is None, "it is over"

    reactor.run(connecting)


@pytest.mark.parametrize("role", ["sender", "receiver"])
def test_what_comes_with_the_choice(role: Role) -> None:
    """The wire begins with the first byte after the handshake, even if all came in one piece."""
    ours, theirs = KEYS.sender_line, KEYS.receiver_line
    if role == "receiver":
        ours, theirs = theirs, ours

    async def connecting() -> None:
        side = Eager(role)
        port = await side.contest.listen()
        with socket.create_connection(("127.0.0.1", port)) as peer:
            peer.settimeout(30)
            peer.sendall(theirs)

            def answer() -> bytes:
                said = bytearray()
                while len(said) < len(ours) + (3 if role == "sender" else 0):
                    said += peer.recv(1000)
                peer.sendall(b"first" if role == "sender" else b"go\nfirst")
                return bytes(said)

            answered = deferToThread(answer)
            link = await side.link
            assert await answered == ours + (b"go\n" if role == "sender" else b"")
            wire = link.wire()
            assert await deferToThread(receive_exactly, wire, 5) == b"first"
            wire.send(b"second")
            assert await deferToThread(peer.recv, 100) == b"second"
            wire.close()
            assert await deferToThread(peer.recv, 100) == b""

    reactor.run(connecting)


def test_a_link_that_broke() -> None:
    """There is no wire to be had of it, and what takes it over hears of its end."""

    async def connecting() -> None:
        for attach in (True, False):
            side = Eager("sender")
            port = await side.contest.listen()
            peer = socket.create_connection(("127.0.0.1", port))
            peer.sendall(KEYS.receiver_line)
            link = await side.link
            peer.close()
            link.transport.abortConnection()
            await reactor.until(lambda link=link: not link.transport.connected, "it is down")
            if attach:
                heir = Scripted()
                link.attach(heir)
                assert heir.is_gone
            else:
                with pytest.raises(WireError):
                    link.wire()

    reactor.run(connecting)


@needs_ipv6
def test_a_port_that_is_taken_for_ipv6() -> None:
    """A port that was asked for is opened for IPv4 at least."""

    async def listening() -> None:
        with socket.socket(socket.AF_INET6) as other:
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            other.bind(("::", 0))
            other.listen()
            port = other.getsockname()[1]
            side = Eager("sender")
            assert await side.contest.listen(port) == port
            await side.contest.stop()

    reactor.run(listening)


def test_a_port_that_is_not_free() -> None:
    """Nobody comes in, but everything else goes on; the port is free again after `stop`."""

    async def listening() -> None:
        one, two, three = (Eager("sender") for _ in range(3))
        port = await one.contest.listen()
        assert await two.contest.listen(port) is None
        assert two.contest.hints() == []
        await one.contest.stop()
        assert await three.contest.listen(port) == port
        await three.contest.stop()

    reactor.run(listening)


def test_through_the_stock_relay(relay: str) -> None:
    """One waits; the other comes later, with a relay hint only."""

    async def connecting() -> None:
        sender = Eager("sender", listen=False, relays=[address(relay)])
        receiver = Eager("receiver", listen=False)
        sender.contest.dial([])
        hints: tuple[Hint, ...] = parse(sender.contest.hints())
        assert isinstance(hints[0], RelayHint)
        receiver.contest.dial(hints)
        one, two = await sender.link, await receiver.link
        assert one.describe == two.describe == f"->relay:{relay}"
        ours, theirs = one.wire(), two.wire()
        ours.send(b"hello")
        assert await deferToThread(receive_exactly, theirs, 5) == b"hello"
        for each in (ours, theirs):
            each.close()

    reactor.run(connecting)


def test_a_name_that_does_not_exist() -> None:
    """The reason is in words."""
    reasons: list[str] = []

    async def dialling() -> None:
        side = Eager("sender", listen=False)
        side.exhausted = reasons.append  # type: ignore[method-assign]
        side.contest.dial([DirectHint("no.such.host.invalid", 1), DirectHint("127.0.0.1", 1)])
        await reactor.until(lambda: reasons, "both have failed")
        await side.contest.stop()

    reactor.run(dialling)
    assert reasons[0] in (
        "->tcp:no.such.host.invalid:1: no such host",
        "->tcp:127.0.0.1:1: refused",
    )


class Streams:
    """Stands for Tor."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, bool]] = []

    def stream_via(self, host: str, port: int, tls: bool = False) -> Any:
        self.asked.append((host, port, tls))
        return self

    def connect(self, factory: object) -> Deferred[Any]:
        return fail(ConnectionDone())


def test_tor() -> None:
    """Every connection is a stream of it; names are not looked up here."""
    tor = Streams()
    network = Internet(object(), tor)
    assert network.hides
    for host in ("relay.example", "8.8.8.8", "x.onion"):
        failed: list[Any] = []
        network.connect(host, 4001, Made(Scripted)).addErrback(failed.append)
        assert len(failed) == 1
    assert tor.asked == [
        *(("relay.example", 4001, False), ("8.8.8.8", 4001, False), ("x.onion", 4001, False))
    ]


def test_another_network() -> None:
    """It can be replaced for a reactor that is a clock; not for what goes through Tor."""
    world = World()
    host = world.host("a")
    through(world.clock, host)
    assert network_of(world.clock) is host
    assert isinstance(network_of(world.clock, Streams()), Internet)
    assert isinstance(network_of(real), Internet)
