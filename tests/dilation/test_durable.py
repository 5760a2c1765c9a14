"""Nothing leaves before it is durable, and nothing is acknowledged before its effect is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field

from holdfast.dilation.records import Data, read, write
from holdfast_journal import Journal
from tests.api.world import CODE, Delegate
from tests.dilation.world import Made, World


@define(eq=False)
class Slow(Journal):
    """A journal whose disk takes as long as a test wants."""

    is_slow: bool = False
    commits: int = 0
    waiting: list[Callable[[], object]] = field(factory=list)

    def count(self) -> None:
        self.commits += 1

    def queue_outbound(self, fn: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        def call() -> None:
            if self.is_slow:
                self.waiting.append(lambda: fn(*args, **kwargs))
            else:
                fn(*args, **kwargs)

        super().queue_outbound(call)

    def finish(self) -> None:
        """Everything until now is durable."""
        self.is_slow = False
        waiting, self.waiting = self.waiting, []
        for call in waiting:
            call()


def ends() -> tuple[World, Slow, Any, Any, Any]:
    """A world, our journal, our protocol, that of the peer, and the peer's dilation."""
    world, journal, delegate = World(), Slow(lambda: None), Delegate()
    journal.save_checkpoint = journal.count
    ours = world.create(delegate=delegate, journal=journal)
    theirs = world.create()
    x, y = ours.dilate(), theirs.dilate()
    ours.set_code(CODE)
    theirs.set_code(CODE)
    listening = Made()
    world.result(y.listener_for("name").listen(listening))
    waiting = x.connector_for("name").connect(Made())
    world.run(5)
    peer = theirs._inner._happening.dilation._dilation
    return world, journal, world.result(waiting), listening.made[0], peer


def test_nothing_leaves_before_it_is_durable() -> None:
    """Not when there is room, and not behind an answer or a ping."""
    world, journal, ours, theirs, _ = ends()
    journal.is_slow = True
    ours.transport.write(b"first")
    world.run(1)
    [line] = world.sockets.open
    for end in (line, line.other):
        end.producer.resumeProducing()
    theirs.transport.write(b"asks for an answer")
    world.run(100)
    assert theirs.data == []
    journal.finish()
    world.run(1)
    assert theirs.data == [b"first"]


def test_nothing_is_acknowledged_before_its_effect_is_durable() -> None:
    world, journal, ours, theirs, peer = ends()
    ledger = peer._ledger
    journal.is_slow = True
    theirs.transport.write(b"first")
    world.run(1)
    assert ours.data == [b"first"]
    theirs.transport.write(b"second")
    world.run(1)
    assert ledger.acked < ledger.next_out - 2
    journal.finish()
    world.run(1)
    assert ledger.acked == ledger.next_out - 1


def test_how_much_may_wait_for_the_disk() -> None:
    """If the disk stands still the peer is slowed down, and memory is bounded."""
    world, journal, ours, theirs, _ = ends()
    journal.is_slow = True
    for number in range(200):
        theirs.transport.write(b"%d" % number + bytes(50_000))
    world.run(5)
    assert 0 < len(ours.data) < 100
    journal.finish()
    world.run(5)
    assert [int(data.rstrip(b"\0")) for data in ours.data] == list(range(200))


def test_what_comes_during_a_commit_shares_the_next_one() -> None:
    world, journal, ours, theirs, _ = ends()
    journal.is_slow = True
    for number in range(5):
        theirs.transport.write(b"%d" % number)
        world.run(1)
    assert ours.data == [b"0"]
    before = journal.commits
    journal.finish()
    world.run(1)
    assert ours.data == [b"0", b"1", b"2", b"3", b"4"]
    assert journal.commits == before + 1


def test_what_comes_again_makes_no_entry() -> None:
    """Only an acknowledgement: the peer may not know that we have it."""
    world, journal, ours, theirs, peer = ends()
    theirs.transport.write(b"once")
    world.run(1)
    again = write(Data(theirs.transport.channel.number, peer._ledger.next_out - 1, b"once"))
    before, peer._ledger.acked = journal.commits, peer._ledger.acked - 1
    peer._ledger._kept.append(read(again))
    peer._traffic.link.send([again])
    world.run(1)
    assert (ours.data, journal.commits) == ([b"once"], before)
    assert peer._traffic.sending.has_sent_all
