"""A peer that has the key and a connection, and makes the worst of both."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import define

from holdfast.dilation import ledger as ledgers
from holdfast.dilation.closing import CLOSING_TIME
from holdfast.dilation.document import load
from holdfast.dilation.frames import LENGTH
from holdfast.dilation.ledger import MOST_HELD, OVERHEAD
from holdfast.dilation.level import UNSENT, WINDOW
from holdfast.dilation.link import PATIENCE
from holdfast.dilation.records import Ack, Close, Data, Open, Ping, Pong
from tests.dilation.scripted import Peer, numbered
from tests.dilation.world import SOCKET, Told
from tests.harness.reactor import flush_logged_errors

BIG = 2 * MOST_HELD


@pytest.fixture(autouse=True)
def _nothing_is_logged() -> Any:
    yield
    assert flush_logged_errors() == []


@pytest.fixture(params=[False, True], ids=["follows", "leads, stored"])
def peer(request: pytest.FixtureRequest) -> Peer:
    """One of each role; ours is stored in one of them."""
    return Peer(request.param, stored=request.param)


def parity(peer: Peer) -> int:
    """The lowest number of a channel that the peer may open."""
    return 1 if peer.leads else 2


def saved(peer: Peer) -> str:
    """The document of ours, which can be loaded."""
    text = json.dumps(peer.inner.save())
    assert load(json.loads(text))
    return text


@define(eq=False)
class Writer:
    """A producer that always has more."""

    transport: Any
    written: int = 0
    paused: bool = False

    def resumeProducing(self) -> None:
        self.paused = False
        while not self.paused:
            self.transport.write(bytes(10_000))
            self.written += 10_000

    def pauseProducing(self) -> None:
        self.paused = True

    def stopProducing(self) -> None:
        self.paused = True


def writing(peer: Peer) -> Writer:
    """One on the channel that ours has."""
    transport = peer.listening.made[-1].transport
    writer = Writer(transport)
    transport.registerProducer(writer, streaming=True)
    peer.inner._entries.soon(writer.resumeProducing)
    return writer


# What costs the connection.


@pytest.mark.parametrize("changed", ["twice", "swapped", "reflected", "older", "bent"])
def test_a_record_that_the_network_has_touched(peer: Peer, changed: str) -> None:
    """Said again, in another order, back to us, from another connection, or bent."""
    line = peer.connected()
    older = line.say(Ping(b"abcd"))
    line.transport.abortConnection()
    peer.run(1)
    line = peer.again(line)
    line.say(Ping(b"abcd"))
    peer.run(1)
    one, two = line.frame(Ping(b"efgh")), line.frame(Ping(b"ijkl"))
    said = {
        "twice": one + one,
        "swapped": two + one,
        "reflected": line.last,
        "older": older,
        "bent": one[:-1] + bytes([one[-1] ^ 1]),
    }
    line.transport.write(said[changed])
    peer.run(1)
    assert line.lost
    peer.goes_on(line)


def test_a_frame_of_4_gb(peer: Peer) -> None:
    line = peer.connected()
    line.transport.write(b"\xff\xff\xff\xff" + bytes(50_000))
    peer.run(1)
    assert line.lost
    peer.goes_on(line)


# What is kept for it.


def test_a_long_record_for_nobody(peer: Peer) -> None:
    """It is neither held nor saved, but waits with all that comes behind it, until it is wanted."""
    line = peer.connected()
    nobody, somebody = parity(peer) + 2, parity(peer)
    peer.opened(line, somebody)
    said = numbered(
        peer.next,
        [
            (Open, nobody, "nobody"),
            (Data, nobody, b"short"),
            (Data, nobody, bytes(BIG)),
            (Data, somebody, b"behind"),
        ],
    )
    line.say(*said)
    peer.run(5)
    assert peer.ledger.held_bytes < 1000
    assert len(saved(peer)) < 5000
    assert line.acked == said[1].seq  # type: ignore[union-attr]
    made = Told()
    peer.dilated.listener_for("nobody").listen(Makes(made))
    peer.run(5)
    assert made.data == [b"short", bytes(BIG)]
    assert peer.listening.made[0].data == [b"behind"]
    peer.next += len(said)
    peer.goes_on(line)


def test_a_long_record_for_who_has_paused(peer: Peer) -> None:
    line = peer.connected()
    number = peer.opened(line)
    channel = peer.listening.made[0]
    channel.transport.pauseProducing()
    line.say(Data(number, 1, bytes(BIG)), Data(number, 2, b"behind"))
    peer.run(5)
    assert peer.ledger.held_bytes == 0
    channel.transport.resumeProducing()
    peer.run(5)
    assert channel.data == [bytes(BIG), b"behind"]
    peer.next += 2
    peer.goes_on(line)


@pytest.mark.parametrize("size", [900, 60_000])
def test_much_for_nobody(peer: Peer, size: int) -> None:
    """What is held has a limit, and so has what is read behind it."""
    line = peer.connected()
    number = parity(peer)
    line.say(Open(number, 0, "nobody"))
    untaken = peer.inner._traffic.receiving._untaken
    count = (MOST_HELD + 3 * untaken.enough) // (size + OVERHEAD)
    for at in range(count):
        line.say(Data(number, 1 + at, bytes(size)))
    peer.run(5)
    assert peer.ledger.held_bytes <= MOST_HELD + size + OVERHEAD
    assert untaken.size <= 2 * untaken.enough + SOCKET
    assert len(line.transport.out) > 0
    assert len(saved(peer)) < 2 * MOST_HELD
    assert line.acked < count
    peer.messages_go_on()
    made = Told()
    peer.dilated.listener_for("nobody").listen(Makes(made))
    peer.run(5)
    assert len(made.data) == count
    peer.next += 1 + count
    peer.goes_on(line)


def test_giving_up_a_full_channel_lets_the_others_go_on(peer: Peer) -> None:
    line = peer.connected()
    number = peer.opened(line)
    channel = peer.listening.made[0]
    channel.transport.pauseProducing()
    for at in range(50):
        line.say(Data(number, 1 + at, bytes(60_000)))
    peer.run(5)
    channel.transport.abortConnection()
    peer.run(5)
    assert peer.ledger.held_bytes == 0
    peer.next += 50
    line.say(Close(number, peer.next))
    peer.next += 1
    peer.run(5)
    assert not peer.ledger.channels
    peer.listening.made.clear()
    peer.goes_on(line)


def test_a_protocol_that_takes_one_at_a_time(peer: Peer) -> None:
    """What it holds is not moved about for each."""
    line = peer.connected()
    number = peer.opened(line)
    channel = peer.listening.made[0]
    channel.on_data = lambda _: channel.transport.pauseProducing()
    line.say(*(Data(number, 1 + at, b"") for at in range(300)))
    peer.run(1)
    for _ in range(300):
        peer.run()
        channel.transport.resumeProducing()
    peer.run(1)
    assert len(channel.data) == 300


def test_more_channels_than_there_may_be(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is closed at once."""
    monkeypatch.setattr(ledgers, "MOST_CHANNELS", 50)
    line = peer.connected()
    first = parity(peer)
    for at in range(500):
        line.say(Open(first + 2 * at, at, "nobody"))
    peer.run(5)
    assert len(peer.ledger.channels) == 50
    assert line.count(Close) == 450
    assert line.acked == 499
    assert peer.ledger.acked == peer.ledger.next_out - 1
    line.say(*(Close(first + 2 * at, 500 + at) for at in range(500)))
    peer.run(5)
    peer.dilated.listener_for("nobody").listen(Makes(None))
    peer.run(5)
    assert not peer.ledger.channels
    peer.next = 1000
    peer.goes_on(line)


def test_a_number_that_is_used_again() -> None:
    """It is another channel, and not that of an earlier process."""
    peer = Peer(leads=True)
    line = peer.connected()
    peer.inner._channels._old.add(1)  # as if one had had it
    for _ in range(3):
        peer.opened(line)
        line.say(Open(1, peer.next, "name"), Close(1, peer.next + 1))
        peer.next += 2
        peer.run(1)
    assert [each.told for each in peer.listening.made] == [["made", "ConnectionDone"]] * 3
    assert not any(each.address.resumed for each in peer.listening.made)
    peer.goes_on(line)


# What it does with what we send.


def test_it_never_reads(peer: Peer) -> None:
    """What is written has a limit, and when we close, we do not wait for ever."""
    line = peer.connected()
    peer.opened(line)
    line.transport.pauseProducing()
    writer = writing(peer)
    peer.run(30)
    assert writer.paused
    assert writer.written < WINDOW
    assert line.transport.other.most <= 2 * SOCKET + UNSENT
    assert len(peer.ledger._kept) < writer.written // 10_000 + 3
    closed = peer.ours.close()  # a Deferred, or None if the delegate is told
    peer.run(CLOSING_TIME)
    peer.run(PATIENCE)
    assert not peer.world.sockets.open
    assert line.lost
    told = peer.delegate.got("closed") if peer.stored else peer.world.result(closed)
    assert told == "happy"


def test_it_reads_and_acknowledges_nothing(peer: Peer) -> None:
    line = peer.connected()
    line.answers = False
    peer.opened(line)
    writer = writing(peer)
    peer.run(50)
    assert writer.paused
    assert peer.ledger.unacked_bytes <= WINDOW + UNSENT
    writer.transport.unregisterProducer()
    line.say(Ack(peer.ledger.next_out - 1))
    peer.run(1)
    assert peer.ledger.unacked_bytes == 0


def test_it_opens_and_never_acknowledges_that_we_close(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "MOST_CLOSES", 100)
    line = peer.connected()
    line.answers = False
    line.say(*(Open(parity(peer), at, "") for at in range(200)))
    peer.run(1)
    assert line.lost
    assert len(peer.ledger._kept) == 101
    assert len(saved(peer)) < 10_000


def test_it_acknowledges_what_it_has_not_got(peer: Peer) -> None:
    """What was written and not yet sent; then it does not come. Beyond that: nothing."""
    line = peer.connected()
    peer.opened(line)
    line.transport.pauseProducing()
    writer = writing(peer)
    peer.run(1)
    writer.transport.unregisterProducer()
    for seq in (2**32 - 1, peer.ledger.next_out, peer.ledger.next_out - 1, 0):
        line.say(Ack(seq))
        peer.run(1)
    assert peer.ledger.acked == peer.ledger.next_out - 1
    line.transport.resumeProducing()
    saved(peer)
    peer.goes_on(line)


def test_a_flood_of_pings(peer: Peer) -> None:
    """It is answered, as far as it reads."""
    line = peer.connected()
    line.say(*[Ping(b"abcd")] * 1000)
    peer.run(1)
    assert line.count(Pong) == 1000
    line.transport.pauseProducing()
    for _ in range(6):
        line.say(*[Ping(b"abcd")] * 1000)
        peer.run(0.1)
    assert line.transport.other.most <= 2 * SOCKET
    assert len(peer.inner._traffic.sending._owed) <= 16
    line.transport.resumeProducing()
    peer.run(1)
    peer.goes_on(line)


def test_bytes_that_prove_nothing_are_no_sign_of_life() -> None:
    """A relay may feed us the length of a frame, and then a byte now and then."""
    peer = Peer(leads=False)
    line = peer.connected()
    line.answers = False
    line.transport.write(LENGTH.pack(60_000))
    for _ in range(10):
        line.transport.write(b"x")
        peer.run(10)
    assert line.lost
    peer.goes_on(line)


def test_what_comes_again_is_not_saved_again(peer: Peer) -> None:
    """It changes nothing, so it takes no entry; only the acknowledgement is said again."""
    line = peer.connected()
    number = peer.opened(line)
    entries = peer.inner._entries
    before = Counted(entries.now)
    entries.now = before
    for _ in range(20):
        line.say(Open(number, 0, "name"))
        peer.run(0.1)
    assert line.count(Ack) == 21
    assert before.count == 0
    entries.now = before.call
    peer.goes_on(line)


def test_records_of_old_and_of_nobody_are_acknowledged(peer: Peer) -> None:
    line = peer.connected()
    first = parity(peer)
    said = numbered(
        0,
        [
            (Open, first, "name"),
            (Close, first),
            (Data, first, b"after the end"),
            (Close, first),
            (Open, first + 1, "of our parity"),
            (Data, first + 1, b"x"),
            (Close, first + 1),
            (Open, 0, "zero"),
            (Open, 2**32 - 2 + peer.leads, "the last"),
            (Data, 2**32 - 2 + peer.leads, b"x"),
        ],
    )
    line.say(*said, *said)
    peer.run(1)
    assert not line.lost
    assert line.acked == len(said) - 1
    assert peer.listening.made[0].data == []
    saved(peer)
    peer.next = len(said)
    peer.goes_on(line)


class Counted:
    """Counts calls."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.count = 0

    def __call__(self, *args: Any) -> Any:
        self.count += 1
        return self.call(*args)


class Makes:
    """A factory of one protocol, or of none."""

    def __init__(self, made: Any) -> None:
        self.made = made

    def buildProtocol(self, addr: Any) -> Any:
        return self.made
