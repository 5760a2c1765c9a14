"""The sentence "The Wormhole can be used to create a Transit object for this purpose"."""

from __future__ import annotations

from typing import Any

import pytest
import wormhole.transit as stock
from twisted.internet import reactor as real
from twisted.internet.defer import gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint

import holdfast
from holdfast.rendezvous.tor import TorManager
from tests.api.test_tor import OnlyTor, Streams
from tests.api.world import APPID, Net
from tests.harness import reactor
from tests.harness.scripted import StockPeer
from tests.harness.server import MailboxServer

PURPOSE = "lothar.com/wormhole/text-or-file-xfer/transit-key"


class Delegate:
    """Keeps what it is told."""

    versions: Any = None

    def wormhole_got_versions(self, versions: Any) -> None:
        self.versions = versions


@pytest.mark.parametrize("mode", ["Deferred", "delegated"])
@pytest.mark.parametrize("role", ["sender", "receiver"])
def test_a_wormhole_makes_a_transit_object(mailbox: MailboxServer, mode: str, role: str) -> None:
    """It has the key that stock clients derive, so the two can connect."""

    async def exchange() -> None:
        delegate = Delegate()
        if mode == "Deferred":
            made: Any = holdfast.create(APPID, mailbox.url, real)
        else:
            made = holdfast.create(APPID, mailbox.url, real, delegate=delegate)
        with pytest.raises(holdfast.NoKeyError):
            made.create_transit(role)
        peer = StockPeer(mailbox.url, appid=APPID)
        peer.wormhole.allocate_code()
        made.set_code(await peer.wormhole.get_code())
        await peer.wormhole.get_versions()
        if mode == "Deferred":
            await made.get_versions()
        else:
            await reactor.until(lambda: delegate.versions is not None, "the key is confirmed")
        with pytest.raises(ValueError, match="role"):
            made.create_transit("both")
        with pytest.raises(ValueError, match="tcp:HOST:PORT"):
            made.create_transit(role, "relay.example")
        ours = made.create_transit(role)
        kind = stock.TransitReceiver if role == "sender" else stock.TransitSender
        theirs = kind(None, reactor=real)
        assert isinstance(ours, getattr(holdfast, f"Transit{role.title()}"))
        theirs.set_transit_key(peer.wormhole.derive_key(PURPOSE, theirs.TRANSIT_KEY_LENGTH))
        theirs.add_connection_hints(await ours.get_connection_hints())
        ours.add_connection_hints(await theirs.get_connection_hints())
        ends = await gatherResults([ours.connect(), theirs.connect()])
        ends[0].send_record(b"bulk")
        assert await ends[1].receive_record() == b"bulk"
        for each in ends:
            each.close()
        made.close()
        assert await peer.close() == "happy"

    reactor.run(exchange)


def test_through_tor(mailbox: MailboxServer, relay: str) -> None:
    """What the wormhole goes through, its Transit object goes through too, and nobody comes in."""
    streams = Streams(lambda host, port: TCP4ClientEndpoint(real, "127.0.0.1", port))
    port = int(relay.rpartition(":")[2])

    async def exchange() -> None:
        tor = TorManager(streams)
        ours = holdfast.create(APPID, mailbox.url, real, tor=tor)
        theirs = holdfast.create(APPID, mailbox.url, real)
        ours.allocate_code()
        theirs.set_code(await ours.get_code())
        for each in (ours, theirs):
            await each.get_verifier()
        streams.asked.clear()
        sender = ours.create_transit("sender", f"tcp:relay.example:{port}")
        receiver = theirs.create_transit("receiver", relay)
        hints = await sender.get_connection_hints()
        assert [each["type"] for each in hints] == ["relay-v1"]
        sender.add_connection_hints(await receiver.get_connection_hints())
        ends = await gatherResults([sender.connect(), receiver.connect()])
        assert ends[0].describe() == f"tor->relay:tcp:relay.example:{port}"
        for each in (*ends, ours, theirs):
            each.close()

    reactor.run(exchange)
    assert streams.asked[0] == ("relay.example", port, False)


def test_not_without_tor(net: Net) -> None:
    """Not one connection is made past it, nor looked up, nor listened for."""
    clock, streams = OnlyTor(), Streams(lambda host, port: None)
    transit = holdfast.TransitSender("tcp:relay.example:4001", tor=streams, reactor=clock)
    transit.set_transit_key(bytes(32))
    transit.get_connection_hints()
    transit.add_connection_hints(
        [{"type": "direct-tcp-v1", "hostname": "192.168.1.1", "port": 80, "priority": 0.0}]
    )
    failed: list[Any] = []
    transit.connect().addErrback(failed.append)
    clock.pump([0.1] * 1300)
    assert failed[0].check(holdfast.TransitError)
    assert clock.tried == []
    assert [host for host, _, _ in streams.asked] == ["relay.example"]
