"""What the two sides agree on, told as it happens."""

import json
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.dilation.control import Hints, Ignored, Please, Reconnect, Reconnecting
from holdfast.dilation.generations import (
    WORDS,
    Dial,
    Drop,
    Effects,
    Ready,
    Refused,
    Say,
    StartContest,
)
from holdfast.dilation.manager import Manager
from holdfast.errors import BadCheckpoint
from holdfast.transit.hints import MOST, DirectHint, RelayHint

OURS, LOWER, HIGHER = "77777777777777aa", "00000000000000aa", "ffffffffffffffaa"


def reloaded(manager: Manager) -> Manager:
    """What another process loads."""
    return Manager.load(json.loads(json.dumps(manager.save())))


def agreed(theirs: str) -> Manager:
    """A manager whose peer has said please, since 10.0."""
    manager = Manager.begin(OURS)
    manager.dilate(9.0)
    manager.peer(10.0, can=True)
    manager.heard(Please(theirs), 11.0)
    return manager


def hints(*ports: int) -> tuple[DirectHint, ...]:
    """Hints with these ports."""
    return tuple(DirectHint("192.0.2.1", port) for port in ports)


@pytest.mark.parametrize(("theirs", "leader"), [(LOWER, True), (HIGHER, False)])
def test_the_order_in_which_both_ask_makes_no_difference(theirs: str, leader: bool) -> None:
    """Once all three are known: one `please` of ours, and a contest; the higher name leads."""
    for order in permutations(("dilate", "peer", "please")):
        manager = Manager.begin(OURS)
        effects: Effects = ()
        for what in order:
            manager = reloaded(manager)
            if what == "dilate":
                effects += manager.dilate(1.0)
            elif what == "peer":
                effects += manager.peer(1.0, can=True)
            else:
                effects += manager.heard(Please(theirs, holdfast=False), 1.0)
        assert effects == (Say(Please(OURS)), StartContest(leader, 1))
        assert manager.leader is leader
        assert not manager.data.holdfast


def test_what_a_peer_is_is_remembered() -> None:
    """One of our own says so in its please."""
    assert agreed(LOWER).data.holdfast


def test_nothing_is_said_to_a_peer_that_cannot_dilate() -> None:
    """In either order; and nobody is told who has not asked."""
    for first in ("peer", "dilate"):
        manager = Manager.begin(OURS)
        told = manager.peer(1.0, can=False) if first == "peer" else manager.dilate(1.0)
        assert told == ()
        told = manager.dilate(1.0) if first == "peer" else manager.peer(1.0, can=False)
        assert told == (Drop(), Refused("old peer"))
        assert reloaded(manager).resumed(2.0) == (Refused("old peer"),)


def test_our_own_please_that_comes_back_is_refused() -> None:
    """Somebody reflects our messages."""
    manager = Manager.begin(OURS)
    manager.dilate(1.0)
    manager.peer(1.0, can=True)
    assert manager.heard(Please(OURS), 1.0) == (Drop(), Refused("reflected"))
    assert manager.state == "refused"


@pytest.mark.parametrize("theirs", [LOWER, HIGHER])
def test_a_please_of_another_name_ends_it(theirs: str) -> None:
    """A peer that begins anew has forgotten the numbers, so no channel can go on."""
    manager = agreed(theirs)
    assert manager.heard(Please(theirs), 12.0) == (Ignored("another please"),)
    assert manager.heard(Please("5" * 16), 12.0) == (Drop(), Refused("began anew"))
    assert manager.heard(Please("6" * 16), 12.0) == (Ignored("another please"),)
    assert {"began anew", "reflected", "old peer", "gone"} == {*WORDS}


def test_a_leader_asks_for_another_connection_once() -> None:
    """It says `reconnect` when the connection is lost, not when it dies before the answer."""
    manager = agreed(LOWER)
    assert manager.connected() == (Ready(),)
    assert manager.lost(20.0) == (Drop(), Say(Reconnect()))
    manager = reloaded(manager)
    assert manager.resumed(30.0) == ()
    assert manager.heard(Hints(hints(1)), 30.0) == ()
    assert manager.heard(Reconnecting(), 31.0) == (StartContest(leader=True, generation=2),)
    assert reloaded(manager).resumed(32.0) == (Drop(), Say(Reconnect()))


def test_a_follower_waits_to_be_asked() -> None:
    """It answers each `reconnect`, whether or not it knows that the connection is gone."""
    manager = agreed(HIGHER)
    manager.connected()
    assert manager.lost(20.0) == (Drop(),)
    again = (Say(Reconnecting()), StartContest(leader=False, generation=2))
    assert manager.heard(Reconnect(), 21.0) == again
    manager.connected()
    again = (Say(Reconnecting()), StartContest(leader=False, generation=3))
    assert manager.heard(Reconnect(), 22.0) == again
    assert manager.lost(23.0) == ()  # that was the connection which it has dropped itself


def test_a_follower_in_another_process_dials_what_the_leader_told_the_one_before() -> None:
    """The leader may be connecting still, and stock tells its hints once in a generation."""
    manager = agreed(HIGHER)
    manager.heard(Hints(hints(1, 2)), 12.0)
    manager.heard(Hints((RelayHint(hints(3)),)), 12.0)
    for generation in (2, 3):
        manager = reloaded(manager)
        start, dial = manager.resumed(13.0)
        assert start == StartContest(leader=False, generation=generation)
        assert isinstance(dial, Dial)
        assert {*dial.hints} == {*hints(1, 2), RelayHint(hints(3))}
    manager.connected()
    assert reloaded(manager).resumed(14.0) == (StartContest(leader=False, generation=4),)


def test_hints_of_a_generation_are_forgotten_with_it() -> None:
    """Nobody listens there any longer."""
    manager = agreed(HIGHER)
    manager.heard(Hints(hints(1)), 12.0)
    manager.heard(Reconnect(), 13.0)
    assert manager.resumed(14.0) == (StartContest(leader=False, generation=3),)


def test_hints_are_dialled_again_when_they_are_told_again() -> None:
    """That is what they are told again for. With a connection, nothing is dialled."""
    manager = agreed(LOWER)
    for _ in range(2):
        assert manager.heard(Hints(hints(1)), 12.0) == (Dial(hints(1)),)
    assert manager.heard(Hints(()), 12.0) == ()
    manager.connected()
    assert manager.heard(Hints(hints(1)), 12.0) == ()


def test_the_hints_that_are_kept_are_bounded() -> None:
    """The latest stay."""
    manager = agreed(HIGHER)
    for port in range(1, MOST + 51):
        manager.heard(Hints(hints(port)), 12.0)
    _, dial = manager.resumed(13.0)
    assert isinstance(dial, Dial)
    assert {*dial.hints} == {*hints(*range(51, MOST + 51))}


def test_since_when_there_is_no_connection() -> None:
    """From the peer's version on; the first of several losses counts; a restart is one too."""
    manager = agreed(LOWER)
    assert manager.data.lost_at == 10.0
    manager.connected()
    assert manager.data.lost_at is None
    manager.lost(20.0)
    manager.heard(Reconnecting(), 25.0)
    manager = reloaded(manager)
    manager.resumed(30.0)
    assert manager.data.lost_at == 20.0
    manager.heard(Reconnecting(), 31.0)
    manager.connected()
    manager = reloaded(manager)
    manager.resumed(40.0)
    assert manager.data.lost_at == 40.0


def test_until_when_to_wait() -> None:
    """From the loss on, also through another process; but each gives the peer a minute."""
    manager = agreed(LOWER)
    assert manager.deadline(None) is None
    assert manager.deadline(3600.0) == 3610.0
    manager.connected()
    assert manager.deadline(3600.0) is None
    manager.lost(20.0)
    manager = reloaded(manager)
    manager.resumed(2000.0)
    assert manager.deadline(3600.0) == 3620.0
    assert manager.deadline(100.0) == 2060.0
    assert manager.deadline(5.0) == 2005.0


@pytest.mark.parametrize("theirs", [LOWER, HIGHER])
def test_a_peer_that_is_gone_for_too_long_is_given_up(theirs: str) -> None:
    """But not while there is a connection, nor before there is a peer."""
    assert Manager.begin(OURS).expired() == ()
    manager = agreed(theirs)
    manager.connected()
    assert manager.expired() == ()
    manager.lost(20.0)
    assert manager.expired() == (Drop(), Refused("gone"))
    assert manager.deadline(3600.0) is None


def test_a_wormhole_that_closes_does_not_begin_to_dilate() -> None:
    """What is there goes on, so that the last records arrive, also in another process."""
    manager = Manager.begin(OURS)
    manager.dilate(1.0)
    manager.close()
    manager = reloaded(manager)
    assert manager.peer(1.0, can=True) == ()
    going_on = agreed(HIGHER)
    going_on.close()
    assert reloaded(going_on).heard(Reconnect(), 12.0)[0] == Say(Reconnecting())


def test_a_connection_that_nobody_wants_is_dropped() -> None:
    """A leader that waits for the answer has given up all contests."""
    manager = agreed(LOWER)
    manager.connected()
    manager.lost(20.0)
    assert manager.connected() == (Drop(),)


def test_the_end() -> None:
    """Nothing is done after it, whatever comes."""
    manager = agreed(LOWER)
    assert manager.stop() == (Drop(),)
    manager = reloaded(manager)
    assert manager.resumed(20.0) == manager.heard(Reconnecting(), 20.0) == manager.stop() == ()


CONTROLS = st.one_of(
    st.builds(Please, st.sampled_from([OURS, LOWER, HIGHER, "", "?"])),
    st.builds(Hints, st.just(hints(1, 2))),
    st.just(Reconnect()),
    st.just(Reconnecting()),
)
ACTS = st.one_of(
    st.tuples(st.just("heard"), CONTROLS, st.just(5.0)),
    st.tuples(st.sampled_from(["dilate", "resumed", "lost"]), st.just(5.0)),
    st.tuples(st.sampled_from(["connected", "expired", "close", "stop"])),
)


@settings(max_examples=60)
@given(st.lists(ACTS, max_size=12), st.booleans())
def test_saving_between_inputs_changes_nothing(acts: list[tuple[Any, ...]], can: bool) -> None:
    """Whatever a peer says in whatever order: no exception, and no difference to a reloaded one."""
    live, twin = Manager.begin(OURS), Manager.begin(OURS)
    assert live.peer(1.0, can=can) == twin.peer(1.0, can=can)
    for name, *given_ in acts:
        twin = reloaded(twin)
        assert getattr(live, name)(*given_) == getattr(twin, name)(*given_)
        assert live.save() == twin.save()


@pytest.mark.parametrize(
    "wrong",
    [
        {"side": "too short"},
        {"generation": -1},
        {"reason": "bored"},
        {"lost_at": "yesterday"},
        {"dialled": [1]},
        {"dilated": None},
    ],
)
def test_a_damaged_document_is_refused(wrong: dict[str, Any]) -> None:
    """In words."""
    saved = agreed(LOWER).save()
    data = {**saved["data"], **wrong}  # type: ignore[dict-item]
    with pytest.raises(BadCheckpoint, match="damaged"):
        Manager.load({**saved, "data": data})
