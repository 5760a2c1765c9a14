"""Section "Sending Data": each message exactly once, whole, in order, whatever it is."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

import holdfast
from tests.api.world import APPID, CODE, Delegate, Net
from tests.harness import reactor
from tests.harness.scripted import StockPeer
from tests.harness.server import MailboxServer

LONGEST = 4_193_752
"""Bytes of the longest message."""

MEGABYTE = bytes(range(256)) * 4096


def sizes() -> Iterator[bytes]:
    """From nothing to several megabytes."""
    yield from (b"", b"\0", b"x", "grüß dich, 世界".encode(), bytes(range(256)), b"\n" * 20_000)
    yield MEGABYTE
    yield MEGABYTE * 3
    yield b"last"


@pytest.mark.parametrize("sender", ["ours", "stock"])
def test_any_bytes_with_the_stock_client(mailbox: MailboxServer, sender: str) -> None:
    """From empty to three megabytes, each direction: the same bytes, in the same order."""
    from twisted.internet import reactor as real

    async def exchange() -> None:
        ours = holdfast.create(APPID, mailbox.url, real)
        stock = StockPeer(mailbox.url, appid=APPID)
        stock.wormhole.allocate_code()
        ours.set_code(await stock.wormhole.get_code())
        source, sink = (ours, stock.wormhole) if sender == "ours" else (stock.wormhole, ours)
        messages = list(sizes())
        for message in messages:
            source.send_message(message)
        for message in messages:
            received = await sink.get_message()
            assert (type(received), len(received)) == (bytes, len(message))
            assert received == message
        assert await ours.close() == await stock.close() == "happy"

    reactor.run(exchange, timeout=60)


def test_many_messages_both_ways_at_once_with_the_stock_client(mailbox: MailboxServer) -> None:
    """A hundred each way, interleaved, some before the peer is there: none split or reordered."""
    from twisted.internet import reactor as real

    async def exchange() -> None:
        ours = holdfast.create(APPID, mailbox.url, real)
        ours.allocate_code()
        for number in range(50):
            ours.send_message(b"ours %d" % number)
        stock = StockPeer(mailbox.url, appid=APPID)
        stock.wormhole.set_code(await ours.get_code())
        for number in range(100):
            stock.wormhole.send_message(b"stock %d" % number)
        for number in range(50, 100):
            ours.send_message(b"ours %d" % number)
        for number in range(100):
            assert await stock.wormhole.get_message() == b"ours %d" % number
            assert await ours.get_message() == b"stock %d" % number
        assert await ours.close() == await stock.close() == "happy"

    reactor.run(exchange, timeout=60)


WHEN = ["before the code", "after the code", "after the verifier"]


@pytest.mark.parametrize("when", WHEN)
def test_sent_at_any_point_after_construction(net: Net, when: str) -> None:
    """It is queued if necessary, and arrives once."""
    ours, theirs = net.create(), net.create()
    got = [theirs.get_message() for _ in range(2)]
    for moment in WHEN:
        if moment == "after the code":
            ours.set_code(CODE)
        elif moment == "after the verifier":
            theirs.set_code(CODE)
        net.run()
        if moment == when:
            ours.send_message(b"first")
            ours.send_message(b"second")
    assert [net.result(each) for each in got] == [b"first", b"second"]
    extra = theirs.get_message()
    net.run()
    assert not extra.called


def test_nothing_leaves_before_the_key_is_verified(net: Net) -> None:
    """An agreed key is not enough (BEHAVIOUR 7)."""
    ours, theirs = net.create(), net.create()
    ours.send_message(b"secret")
    ours.set_code(CODE)
    theirs.set_code(CODE + "x")
    net.run()
    phases = [frame["phase"] for frame in net.network.frames if frame["type"] == "add"]
    assert set(phases) <= {"pake", "version"}


@pytest.mark.parametrize("rounds", [50])
def test_from_inside_callbacks_for_a_long_time(net: Net, rounds: int) -> None:
    """Two delegates that answer each message from inside its callback play to the end."""

    def answers(get: Any) -> Any:
        def answer(message: bytes) -> None:
            if int(message) < rounds:
                get().send_message(b"%d" % (int(message) + 1))

        return answer

    first = Delegate(on={"message": answers(lambda: ours)})
    second = Delegate(on={"message": answers(lambda: theirs)})
    ours, theirs = net.create(delegate=first), net.create(delegate=second)
    ours.set_code(CODE)
    theirs.set_code(CODE)
    ours.send_message(b"0")
    net.run()
    assert [int(each) for each in second.messages] == list(range(0, rounds + 1, 2))
    assert [int(each) for each in first.messages] == list(range(1, rounds + 1, 2))


def test_the_limits_of_a_message(net: Net) -> None:
    """More than what every server takes is refused at once, and costs nothing."""
    ours = net.create()
    ours.send_message(bytes(LONGEST))
    with pytest.raises(ValueError, match="at most 4,193,752 bytes, not 4,193,753"):
        ours.send_message(bytes(LONGEST + 1))
    with pytest.raises(ValueError, match="at most 4,193,752 bytes; these take 4,193,7"):
        net.create(versions={"all": "x" * (LONGEST - 20)})
    with pytest.raises(ValueError, match="appid is too long"):
        net.create(appid="\N{SNOWMAN}" * 1_400_000)


def test_the_longest_message_through_our_own_server(tmp_path: Path) -> None:
    """Both sides see it, the sender as its receipt; the longest versions pass too."""
    from twisted.internet import reactor as real

    versions = {"all": "x" * (LONGEST - 29)}

    async def exchange() -> None:
        ours = holdfast.create(APPID, server.url, real, versions)
        theirs = holdfast.create(APPID, server.url, real)
        ours.allocate_code()
        theirs.set_code(await ours.get_code())
        ours.send_message(bytes(LONGEST))
        assert await theirs.get_versions() == versions
        assert await theirs.get_message() == bytes(LONGEST)
        assert await ours.close() == await theirs.close() == "happy"

    with MailboxServer(tmp_path, keep="1h") as server:
        reactor.run(exchange, timeout=60)


@pytest.mark.parametrize(("cut", "sender"), list(product(range(1, 12), ["ours", "theirs"])))
def test_exactly_once_through_a_cut_connection(net: Net, cut: int, sender: str) -> None:
    """Whenever the connections break, and come back, each message arrives once and in order."""
    delegates = [Delegate(), Delegate()]
    ours, theirs = (net.create(delegate=each) for each in delegates)
    ours.set_code(CODE)
    theirs.set_code(CODE)
    source = ours if sender == "ours" else theirs
    for number in range(3):
        source.send_message(b"%d" % number)
    for _ in range(cut):
        if net.network.queue:
            net.network.step()
    for line in tuple(net.network.connectors):
        line.cut()
    net.run(10)
    assert delegates[sender == "ours"].messages == [b"0", b"1", b"2"]
    ours.close()
    theirs.close()
    net.run(10)
    assert [each.got("closed") for each in delegates] == ["happy", "happy"]
