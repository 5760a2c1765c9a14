"""Two ledgers, a connection that breaks anywhere, and processes that die at any moment."""

from __future__ import annotations

import json
from collections import deque
from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.dilation import document
from holdfast.dilation.ledger import Ended, Ledger, Opened, Planned, Received
from holdfast.dilation.manager import Manager
from holdfast.dilation.records import Ack, Close, Data, Open

FRESH = count(step=10)
"""Nothing is ever written twice: a process that died may have written it, and the next does not."""

MANAGER = Manager.begin("00000000000000aa")


class End:
    """One side: its ledger, its application, and what of both is durable."""

    def __init__(self, *, leader: bool) -> None:
        self.ledger = Ledger()
        self.ledger.begin(leader=leader)
        self.wrote: dict[int, list[str]] = {}
        """What the application wrote to each channel, closes included."""
        self.got: dict[int, list[str]] = {}
        """What it was told of each."""
        self.connect()
        self.commit()

    def connect(self) -> None:
        """A new connection: everything that is not acknowledged goes again."""
        self.sent = self.ledger.acked
        self.wire: deque[Any] = deque()
        """What is on its way to the other side."""

    def commit(self) -> None:
        """Make it durable; from then on it may leave, and what came is acknowledged."""
        dilation = document.save(MANAGER, self.ledger, document.Options())
        self.saved = json.dumps([dilation, list(self.wrote.items()), list(self.got.items())])
        self.durable = self.ledger.next_out - 1
        if self.ledger.highest_in >= 0:
            self.wire.append(Ack(self.ledger.highest_in))

    def die(self) -> None:
        """Another process begins with what is durable."""
        dilation, wrote, got = json.loads(self.saved)
        self.ledger = document.load(dilation).ledger
        self.wrote, self.got = dict(wrote), dict(got)
        self.durable = self.ledger.next_out - 1

    def send(self) -> None:
        """One record, if it may leave."""
        for record in self.ledger.outgoing(self.sent):
            if record.seq <= self.durable:
                self.sent = record.seq
                if isinstance(record, Planned):
                    made = f"{record.plan['from'] + record.index}".encode()
                    self.wire.append(Data(record.scid, record.seq, made))
                else:
                    self.wire.append(record)
            return

    def hear(self, record: Open | Data | Close | Ack) -> None:
        """One record came."""
        if isinstance(record, Ack):
            self.ledger.acknowledged(record.seq)
            self.sent = max(self.sent, self.ledger.acked)
            return
        match self.ledger.take(record):
            case Opened(channel):
                self.got[channel.number] = [channel.name]
            case Received(channel, data):
                self.got.setdefault(channel.number, []).append(data.decode())
            case Ended(channel):
                self.got.setdefault(channel.number, []).append("end")
                self.ledger.forget(channel.number)

    def act(self, what: str, which: int) -> None:
        """The application does something with one of its channels."""
        fresh = next(FRESH)
        channels = [each for each in self.ledger.channels.values() if not each.out_closed]
        if what == "open":
            self.wrote[self.ledger.open("name")] = ["name"]
        elif channels:
            scid = channels[which % len(channels)].number
            wrote = self.wrote.setdefault(scid, [])
            if what == "write":
                self.ledger.write(scid, str(fresh).encode())
                wrote.append(str(fresh))
            elif what == "plan":
                self.ledger.plan(scid, {"from": fresh}, 3)
                wrote += [str(fresh), str(fresh + 1), str(fresh + 2)]
            else:
                self.ledger.close(scid)
                self.ledger.forget(scid)
                wrote.append("end")


def step(ends: tuple[End, End], what: str, whom: bool, which: int) -> None:
    """One of the things that may happen."""
    end, peer = ends if whom else reversed(ends)
    if what in ("open", "write", "plan", "close"):
        end.act(what, which)
    elif what == "hear":
        if peer.wire:
            end.hear(peer.wire.popleft())
    elif what == "trip":  # some records go, and their acknowledgement comes back
        end.commit()
        for _ in range(which + 1):
            end.send()
        while end.wire:
            peer.hear(end.wire.popleft())
        peer.commit()
        while peer.wire:
            end.hear(peer.wire.popleft())
    elif what in ("die", "cut"):
        if what == "die":
            end.die()
        end.connect()
        peer.connect()
    else:
        getattr(end, what)()


STEPS = (
    *("open", "write", "plan", "close", "hear", "hear", "send", "send"),
    *("trip", "trip", "commit", "cut", "die"),
)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(STEPS), st.booleans(), st.integers(0, 3)),
        min_size=20,
        max_size=60,
    )
)
def test_everything_exactly_once_and_in_order(story: list[tuple[str, bool, int]]) -> None:
    """What one side wrote durably is what the other one gets, whatever happened on the way."""
    ends = End(leader=True), End(leader=False)
    for what, whom, which in story:
        step(ends, what, whom, which)
    for end in ends:
        end.connect()
    for _ in range(4):
        for end in ends:
            end.commit()
            while end.sent < end.durable:
                end.send()
        for end, peer in (ends, reversed(ends)):
            while peer.wire:
                end.hear(peer.wire.popleft())
    for end, peer in (ends, reversed(ends)):
        assert end.got == {scid: told for scid, told in peer.wrote.items() if told}
        assert (end.ledger.acked, end.ledger.unacked_bytes) == (end.ledger.next_out - 1, 0)
        ended = [scid for scid, got in end.got.items() if got[-1] == "end"]
        over = {scid for scid in ended if peer.got.get(scid, [""])[-1] == "end"}
        assert not over & {*end.ledger.channels}
