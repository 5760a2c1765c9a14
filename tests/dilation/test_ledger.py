"""Numbers, channels, and what is kept until it is acknowledged."""

from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.dilation import ledger as module
from holdfast.dilation.errors import ProtocolError
from holdfast.dilation.ledger import (
    LAST,
    MOST_CHANNELS,
    OVERHEAD,
    PLANNED_SIZE,
    Ended,
    Exhausted,
    Ledger,
    Opened,
    Planned,
    Received,
)
from holdfast.dilation.records import Close, Data, Open

In: TypeAlias = Open | Data | Close


def begun(*, leader: bool = True) -> Ledger:
    """One whose roles are known."""
    ledger = Ledger()
    ledger.begin(leader=leader)
    return ledger


def everything(ledger: Ledger) -> list[object]:
    """What is kept, a plan's records as tuples."""
    return [
        (each.scid, each.seq, each.plan, each.index) if isinstance(each, Planned) else each
        for each in ledger.outgoing(-1)
    ]


def test_each_side_numbers_its_own_channels() -> None:
    """The leader's are odd, the follower's even. The role is the first that was told."""
    leader, follower = begun(), begun(leader=False)
    follower.begin(leader=True)
    assert [leader.open("a"), leader.open("b")] == [1, 3]
    assert [follower.open("a"), follower.open("b")] == [2, 4]


def test_no_channel_before_the_roles_are_known() -> None:
    """Its number is not known either."""
    with pytest.raises(ValueError, match="who leads"):
        Ledger().open("a")


def test_one_counter_for_all_records() -> None:
    """From 0, in the order in which they were written."""
    ledger = begun()
    one, other = ledger.open("a"), ledger.open("b")
    ledger.write(other, b"x")
    ledger.plan(one, ["p"], 2)
    ledger.write(one, b"")
    ledger.close(one)
    ledger.close(one)
    ledger.write(one, b"too late")
    ledger.plan(one, "too late", 1)
    assert everything(ledger) == [
        *(Open(1, 0, "a"), Open(3, 1, "b"), Data(3, 2, b"x")),
        *((1, 3, ["p"], 0), (1, 4, ["p"], 1), Data(1, 5, b""), Close(1, 6)),
    ]
    assert (ledger.channels[1].sent, ledger.channels[3].sent) == (3, 1)


def test_a_plan_does_not_change_with_what_it_was_made_from() -> None:
    """It says which bytes have been sent."""
    ledger = begun()
    plan = {"file": "f", "parts": [1]}
    ledger.plan(ledger.open("a"), plan, 1)
    plan["parts"] = []
    assert everything(ledger)[-1] == (1, 1, {"file": "f", "parts": [1]}, 0)


def test_a_plan_is_of_limited_length() -> None:
    """Each of its records is kept."""
    ledger = begun()
    with pytest.raises(ValueError, match="more than 10,000"):
        ledger.plan(ledger.open("a"), None, 10_001)


def test_what_is_acknowledged_is_kept_no_longer() -> None:
    """All up to a number, also part of a plan; not twice, and no number that was not given out."""
    ledger = begun()
    scid = ledger.open("abc")
    ledger.plan(scid, "p", 3, 10)
    ledger.write(scid, b"12345")
    ledger.close(scid)
    assert ledger.unacked_bytes == 3 + 3 * 10 + 5 + 6 * OVERHEAD
    assert ledger.planned_bytes == 3 * 10 + 3 * OVERHEAD
    ledger.acknowledged(2)
    ledger.acknowledged(1)
    ledger.acknowledged(6)
    assert ledger.acked == 2
    assert everything(ledger) == [(1, 3, "p", 2), Data(1, 4, b"12345"), Close(1, 5)]
    assert ledger.channels[scid].planned == 1
    assert ledger.unacked_bytes == 10 + 5 + 3 * OVERHEAD
    assert ledger.planned_bytes == 10 + OVERHEAD
    ledger.acknowledged(5)
    assert (ledger.unacked_bytes, ledger.planned_bytes, everything(ledger)) == (0, 0, [])


def test_a_planned_record_counts_as_a_long_one() -> None:
    """Unless the plan says better."""
    ledger = begun()
    scid = ledger.open("")
    ledger.plan(scid, None, 1)
    assert ledger.unacked_bytes == PLANNED_SIZE + 2 * OVERHEAD


def test_what_goes_out_follows_what_happens_meanwhile() -> None:
    """A link may go on where it was after more was written, and after it was acknowledged."""
    ledger = begun()
    scid = ledger.open("a")
    for data in (b"0", b"1", b"2"):
        ledger.write(scid, data)
    going = ledger.outgoing(0)
    assert next(going) == Data(1, 1, b"0")
    ledger.acknowledged(2)
    ledger.write(scid, b"3")
    assert list(going) == [Data(1, 3, b"2"), Data(1, 4, b"3")]
    assert list(ledger.outgoing(3)) == [Data(1, 4, b"3")]


def test_what_comes_is_taken_once_and_in_order() -> None:
    """Repetitions mean nothing; a gap ends the connection, and nothing is taken."""
    ledger = begun()
    records: list[In] = [Open(2, 0, "a"), Data(2, 1, b"x"), Data(2, 2, b""), Close(2, 3)]
    taken = [ledger.take(record) for record in records]
    channel = ledger.channels[2]
    assert taken == [
        Opened(channel),
        Received(channel, b"x"),
        Received(channel, b""),
        Ended(channel),
    ]
    assert [ledger.take(record) for record in records] == [None] * 4
    with pytest.raises(ProtocolError, match="missing"):
        ledger.take(Data(2, 5, b"y"))
    assert (ledger.highest_in, channel.received, channel.in_closed) == (3, 2, True)


def test_what_means_nothing_is_taken_too() -> None:
    """Else the peer would send it for ever: unknown channels, second opens, data after the end."""
    ledger = begun()
    ledger.take(Open(2, 0, "a"))
    ledger.take(Close(2, 1))
    strange: list[In] = [
        Data(4, 2, b""),
        Close(4, 3),
        Open(2, 4, "b"),
        Data(2, 5, b""),
        Close(2, 6),
    ]
    assert [ledger.take(record) for record in strange] == [None] * 5
    assert ledger.highest_in == 6
    assert ledger.channels[2].name == "a"
    assert everything(ledger) == []


@pytest.mark.parametrize(("leader", "scid"), [(True, 1), (True, 3), (False, 2), (False, 0)])
def test_a_peer_opens_channels_with_its_own_numbers_only(leader: bool, scid: int) -> None:
    """An answer would close ours; stock's own next open fails at it."""
    ledger = begun(leader=leader)
    assert ledger.take(Open(scid, 0, "a")) is None
    assert (ledger.highest_in, ledger.channels, everything(ledger)) == (0, {}, [])
    assert ledger.open("ours") in (1, 2)


def test_a_channel_without_a_name_is_closed_at_once() -> None:
    """That is how peers before 0.20 open them."""
    ledger = begun()
    assert ledger.take(Open(2, 0, "")) is None
    assert ledger.take(Data(2, 1, b"x")) is None
    assert everything(ledger) == [Close(2, 0)]


def test_a_channel_that_nobody_wants() -> None:
    """It is closed, and what comes for it means nothing."""
    ledger = begun()
    ledger.take(Open(2, 0, "a"))
    ledger.refuse(2)
    ledger.refuse(2)
    assert ledger.take(Data(2, 1, b"x")) is None
    assert everything(ledger) == [Close(2, 0)]


def test_data_that_crosses_our_close_is_received() -> None:
    """The peer has not seen it yet."""
    ledger = begun()
    ledger.close(ledger.open("a"))
    taken = [ledger.take(Data(1, 0, b"x")), ledger.take(Close(1, 1))]
    channel = ledger.channels[1]
    assert taken == [Received(channel, b"x"), Ended(channel)]


def test_a_channel_leaves_when_both_have_closed_and_the_end_was_told() -> None:
    """Not before, whatever is called."""
    ledger = begun()
    ledger.take(Open(2, 0, "a"))
    ledger.forget(2)
    ledger.take(Close(2, 1))
    ledger.forget(2)
    assert 2 in ledger.channels
    ledger.close(2)
    assert 2 in ledger.channels
    ledger.forget(2)
    ledger.forget(2)
    assert ledger.channels == {}


def test_a_channel_stays_until_the_peer_has_the_records_of_its_plans() -> None:
    """Its protocol has to make them, perhaps again."""
    ledger = begun()
    scid = ledger.open("a")
    ledger.plan(scid, "p", 2)
    ledger.close(scid)
    ledger.take(Close(scid, 0))
    ledger.forget(scid)
    ledger.acknowledged(1)
    assert ledger.channels[scid].over
    ledger.acknowledged(2)
    assert ledger.channels == {}


def test_what_nobody_listens_to_is_held() -> None:
    """And counted."""
    ledger = begun()
    ledger.take(Open(2, 0, "a"))
    channel = ledger.channels[2]
    ledger.hold(channel, b"x")
    ledger.hold(channel, b"yz")
    assert ledger.held_bytes == 3 + 2 * OVERHEAD
    assert ledger.release(channel) == [b"x", b"yz"]
    assert (ledger.held_bytes, channel.held) == (0, [])
    ledger.hold(channel, b"x")
    ledger.refuse(2)
    assert ledger.held_bytes == 0


def test_a_peer_that_opens_very_many_channels() -> None:
    """Those beyond the limit are closed at once; when one has ended there is room for another."""
    ledger = begun(leader=False)
    for number in range(MOST_CHANNELS + 1):
        ledger.take(Open(2 * number + 1, number, "a"))
    assert len(ledger.channels) == MOST_CHANNELS
    assert everything(ledger) == [Close(2 * MOST_CHANNELS + 1, 0)]
    ledger.refuse(1)
    taken = ledger.take(Open(2 * MOST_CHANNELS + 3, MOST_CHANNELS + 1, "a"))
    assert isinstance(taken, Opened)
    ledger.open("ours")  # those do not count


def test_a_peer_that_opens_channels_and_acknowledges_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What we owe it is bounded. When it acknowledges, it may go on."""
    monkeypatch.setattr(module, "MOST_CLOSES", 10)
    ledger = begun()
    for number in range(11):
        ledger.take(Open(2, number, ""))
    with pytest.raises(ProtocolError, match="acknowledges nothing"):
        ledger.take(Open(2, 11, ""))
    assert ledger.highest_in == 10
    ledger.acknowledged(0)
    ledger.take(Open(2, 11, ""))


def test_numbers_do_not_start_anew() -> None:
    """The last one is written, and then no more."""
    ledger = Ledger(True, LAST - 1, LAST - 2, -1, LAST)
    scid = ledger.open("a")
    with pytest.raises(Exhausted):
        ledger.plan(scid, "p", 2)
    with pytest.raises(Exhausted):
        ledger.open("b")
    ledger.write(scid, b"x")
    with pytest.raises(Exhausted):
        ledger.write(scid, b"y")
    with pytest.raises(Exhausted):
        ledger.close(scid)
    assert everything(ledger) == [Open(LAST, LAST - 1, "a"), Data(LAST, LAST, b"x")]


def test_no_content_in_a_repr() -> None:
    """It may be printed in a traceback."""
    ledger = begun()
    scid = ledger.open("a")
    ledger.write(scid, b"secret")
    ledger.plan(scid, "secret", 1)
    ledger.hold(ledger.channels[scid], b"secret")
    ledger.channels[scid].state = "secret"
    shown = [ledger, *ledger.outgoing(-1), Received(ledger.channels[scid], b"secret")]
    assert "secret" not in repr(shown)


SCIDS, SEQS = st.sampled_from([0, 1, 2, 3, 4, LAST]), st.sampled_from([*range(8), LAST])
HOSTILE = st.one_of(
    st.builds(Open, SCIDS, SEQS, st.sampled_from(["", "a"])),
    st.builds(Data, SCIDS, SEQS, st.just(b"x")),
    st.builds(Close, SCIDS, SEQS),
    SEQS,
)


@settings(max_examples=60)
@given(st.lists(HOSTILE, max_size=20))
def test_whatever_a_peer_sends(records: list[In | int]) -> None:
    """It is taken, dropped or refused; the numbers still fit, and our own channel works."""
    ledger = begun()
    ours = ledger.open("a")
    for record in records:
        before = ledger.highest_in
        if isinstance(record, int):
            ledger.acknowledged(record)
            continue
        try:
            ledger.take(record)
        except ProtocolError:
            assert record.seq > before + 1
        assert ledger.highest_in == before + (record.seq == before + 1)
    kept = list(ledger.outgoing(-1))
    assert [each.seq for each in kept] == [*range(ledger.acked + 1, ledger.next_out)]
    assert ledger.unacked_bytes == sum(map(module.size_of, kept))
    ledger.write(ours, b"x")
    assert everything(ledger)[-1] == Data(ours, ledger.next_out - 1, b"x")
