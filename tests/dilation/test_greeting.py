"""Both ends of a greeting: in every state, cut everywhere, and with stock at the other end."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from automat import NoTransition
from hypothesis import given
from hypothesis import strategies as st

from holdfast.dilation.frames import LENGTH, Frames, frame
from holdfast.dilation.greeting import (
    FOLLOWER,
    KEPT,
    LEADER,
    MACHINES,
    STATES,
    NoiseGreeting,
    Ours,
    Role,
)
from holdfast.dilation.noise import Noise
from holdfast.transit.handshake import Effects, Lost, Paired, Pause, Ready, Send, Won
from holdfast.transit.keys import TransitKeys

KEY = bytes(range(32))
SIDE = "0123456789abcdef"
NOT_NEEDED = Lost("not needed")
WRONG = Lost("something else answered")
OTHER_KEY = Lost("the other side has another key")


def greeting(role: Role, *, relayed: bool = False, key: bytes = KEY) -> NoiseGreeting:
    """One end, always with the same ephemeral key."""
    ephemeral = role[:1].encode() * 32
    side = SIDE if relayed else None
    return NoiseGreeting(key, leader=role == "leader", ephemeral=ephemeral, relay_side=side)


def said(effects: Effects) -> bytes:
    """What is sent."""
    return b"".join(each.data for each in effects if isinstance(each, Send))


def met() -> tuple[NoiseGreeting, NoiseGreeting, bytes, bytes]:
    """Two ends that have chosen each other, and all that each has said."""
    leader, follower = greeting("leader"), greeting("follower")
    from_leader, from_follower = said(leader.begin()), said(follower.begin())
    from_leader += said(leader.hear(from_follower))
    answer = said(follower.hear(from_leader))
    assert leader.hear(answer) == (Ready(),)
    choice = said(leader.choose())
    assert follower.hear(choice) == (Ready(),)
    assert follower.choose() == (Won(b""),)
    return leader, follower, from_leader + choice, from_follower + answer


_, _, FROM_LEADER, FROM_FOLLOWER = met()


# The machines.

INPUTS: dict[str, tuple[object, ...]] = {
    "begin": (),
    "begin_at_relay": (),
    "paired": (),
    "introduced": (),
    "shook_hands": (),
    "confirmed": (),
    "choose": (b"more",),
    "lose": ("why",),
    "reject": (),
}
LINE, RELAY, WON = Send(b"line"), Send(b"relay"), Won(b"more")
HANDSHAKE, KCM = "our handshake", "our KCM"
LOSE = {"lose": ("lost", (Lost("why"),))}
REJECT = {"reject": ("lost", (NOT_NEEDED,))}

Row = dict[str, tuple[str, tuple[object, ...]]]
TABLE: dict[Role, dict[str, Row]] = {
    "leader": {
        "fresh": {
            "begin": ("introducing", (LINE,)),
            "begin_at_relay": ("at_relay", (RELAY,)),
            **REJECT,
        },
        "at_relay": {"paired": ("introducing", (Paired(), LINE)), **LOSE, **REJECT},
        "introducing": {"introduced": ("shaking_hands", (HANDSHAKE,)), **LOSE, **REJECT},
        "shaking_hands": {"shook_hands": ("confirming", ()), **LOSE, **REJECT},
        "confirming": {"confirmed": ("ready", (Ready(),)), **LOSE, **REJECT},
        "ready": {"choose": ("won", (KCM, WON)), **REJECT},
        "won": {"reject": ("won", ())},
        "lost": {"reject": ("lost", ())},
    },
    "follower": {
        "fresh": {
            "begin": ("introducing", (LINE,)),
            "begin_at_relay": ("at_relay", (RELAY,)),
            **REJECT,
        },
        "at_relay": {"paired": ("introducing", (Paired(), LINE)), **LOSE, **REJECT},
        "introducing": {"introduced": ("shaking_hands", ()), **LOSE, **REJECT},
        "shaking_hands": {"shook_hands": ("confirming", (HANDSHAKE, KCM)), **LOSE, **REJECT},
        "confirming": {"confirmed": ("ready", (Ready(),)), **LOSE, **REJECT},
        "ready": {"choose": ("won", (WON,)), **REJECT},
        "won": {"reject": ("won", ())},
        "lost": {"reject": ("lost", ())},
    },
}

PLACES = [(role, state.name) for role in ("leader", "follower") for state in STATES[role]]


def noise_in(role: Role, state: str) -> Noise:
    """The Noise handshake as far as it is when the machine is in `state` and its input comes."""
    ours = Noise(KEY, initiator=role == "leader", ephemeral=b"o" * 32)
    theirs = Noise(KEY, initiator=role != "leader", ephemeral=b"t" * 32)
    if role == "leader" and state == "ready":
        theirs.read(ours.write())
        ours.read(theirs.write())
    elif role == "follower" and state == "shaking_hands":
        ours.read(theirs.write())
    return ours


def name_of(effect: object) -> object:
    """Frames are named by their length, for they are different each time."""
    if isinstance(effect, Send) and effect.data[:3] == bytes(3):
        return {48: HANDSHAKE, 17: KCM}[len(effect.data) - 4]
    return effect


@pytest.mark.parametrize(("role", "state"), PLACES)
def test_every_input_in_every_state(role: Role, state: str) -> None:
    """Each leads where the table says, with these effects, or is not to be given."""
    for name in INPUTS:
        leads_where_the_table_says(role, state, name)


def leads_where_the_table_says(role: Role, state: str, name: str) -> None:
    named: dict[str, Any] = {each.name: each for each in STATES[role]}
    machine = MACHINES[role](Ours(b"line", b"relay", noise_in(role, state)), named[state])
    outcome = TABLE[role][state].get(name)
    if outcome is None:
        with pytest.raises(NoTransition):
            getattr(machine, name)(*INPUTS[name])
    else:
        then, effects = outcome
        assert tuple(map(name_of, getattr(machine, name)(*INPUTS[name]))) == effects
        assert machine.where() == then


# Whole conversations.


def run(
    role: Role, heard: bytes, cuts: list[int], *, relayed: bool = False
) -> tuple[str, bytes, Effects]:
    """Let one end hear `heard` in pieces, and choose as soon as it may.

    Returns:
        Its state, what it said, and everything else that it asked for.
    """
    end = greeting(role, relayed=relayed)
    effects: list[Any] = list(end.begin())
    edges = sorted({0, *(cut % (len(heard) + 1) for cut in cuts), len(heard)})
    for start, stop in pairwise(edges):
        effects += end.hear(heard[start:stop])
    if Ready() in effects:
        effects += end.choose()
    others = tuple(each for each in effects if not isinstance(each, Send))
    return end.state, said(tuple(effects)), others


CONVERSATIONS: list[tuple[Role, bool, bytes, str]] = [
    ("leader", False, FROM_FOLLOWER, "won"),
    ("leader", True, b"ok\n" + FROM_FOLLOWER, "won"),
    ("leader", False, FROM_LEADER, "lost"),
    ("leader", True, FROM_FOLLOWER, "lost"),
    ("leader", True, b"impatient\n", "lost"),
    ("leader", False, b"HTTP/1.1 400 Bad Request\r\n\r\n", "lost"),
    ("leader", False, FROM_FOLLOWER[:-1], "confirming"),
    ("follower", False, FROM_LEADER, "won"),
    ("follower", False, FROM_LEADER + b"records", "won"),
    ("follower", True, b"ok\n" + FROM_LEADER, "won"),
    ("follower", False, FROM_LEADER[:-22], "shaking_hands"),
    ("follower", False, FROM_LEADER[:-21], "confirming"),
    ("follower", False, FROM_FOLLOWER, "lost"),
    ("follower", True, b"o", "at_relay"),
]


@pytest.mark.parametrize(("role", "relayed", "heard", "end"), CONVERSATIONS)
def test_every_cut(role: Role, relayed: bool, heard: bytes, end: str) -> None:
    """It makes no difference in which pieces the bytes come."""
    whole = run(role, heard, [], relayed=relayed)
    assert whole[0] == end
    for cut in range(len(heard)):
        assert run(role, heard, [cut], relayed=relayed) == whole
    assert run(role, heard, list(range(len(heard))), relayed=relayed) == whole


@given(st.sampled_from(["leader", "follower"]), st.data())
def test_one_changed_bit(role: Role, data: st.DataObject) -> None:
    """Each counts, and the other side learns nothing of what would have followed."""
    right = FROM_FOLLOWER if role == "leader" else FROM_LEADER
    at = data.draw(st.integers(0, len(right) - 1))
    heard = bytearray(right)
    heard[at] ^= 1 << data.draw(st.integers(0, 7))
    state, answer, others = run(role, bytes(heard), [])
    assert state == "lost" and Ready() not in others
    assert run(role, right, [])[1].startswith(answer)


def test_a_relay_is_asked_first() -> None:
    """Nothing else is said before it has answered."""
    end = greeting("follower", relayed=True)
    assert end.begin() == (Send(TransitKeys(KEY).relay_line(SIDE)),)
    assert end.hear(b"ok\n") == (Paired(), Send(FOLLOWER))
    end = greeting("leader", relayed=True)
    end.begin()
    assert end.hear(b"no") == (Lost("the relay refused"),)


def test_the_first_wrong_byte() -> None:
    """Nothing is waited for that cannot be right any more; a length of 4 GB is never kept."""
    for wrong in (b"x", LEADER[:-8] + b"x", FOLLOWER + b"\xff", FOLLOWER + LENGTH.pack(49)):
        assert run("leader", wrong[:-1], [])[0] in ("introducing", "shaking_hands")
        assert run("leader", wrong, [])[2] == (WRONG,)


def test_a_stranger() -> None:
    """One who knows how to talk, but has another key."""
    stranger, end = greeting("leader", key=bytes(32)), greeting("follower")
    stranger.begin()
    assert said(end.begin()) == FOLLOWER
    assert end.hear(LEADER + said(stranger.hear(FOLLOWER))) == (OTHER_KEY,)
    assert end.hear(b"more") == end.reject() == ()


def test_a_replay() -> None:
    """What a leader said on another socket is not what the follower waits for on this one."""
    recorded = said(greeting("leader").begin()) + FROM_LEADER[len(LEADER) :]
    end = NoiseGreeting(KEY, leader=False, ephemeral=b"x" * 32)
    end.begin()
    assert end.hear(recorded)[-1] == OTHER_KEY


def test_something_else_instead_of_the_kcm() -> None:
    """It has the right key, and says something wrong."""
    end, noise = greeting("leader"), Noise(KEY, initiator=False, ephemeral=b"x" * 32)
    end.begin()
    handshake = said(end.hear(FOLLOWER))
    noise.read(handshake[4:])
    answer = noise.write()
    wrong = frame(noise.ciphers()[0], b"\x01")
    assert end.hear(LENGTH.pack(48) + answer) == ()
    assert end.hear(wrong) == (Lost("the other side did not confirm its key"),)


def test_what_comes_before_the_choice_is_kept() -> None:
    """Up to a bound, at which reading pauses; nothing of it is lost."""
    end = greeting("follower")
    end.begin()
    assert Ready() in end.hear(FROM_LEADER)
    assert end.hear(bytes(KEPT)) == ()
    assert end.hear(b"x") == (Pause(),)
    assert end.hear(b"y") == ()
    assert end.choose() == (Won(bytes(KEPT) + b"xy"),)
    assert end.hear(b"z") == ()


def test_all_in_one_piece() -> None:
    """The rest of a long piece is kept as well."""
    end = greeting("follower")
    end.begin()
    assert end.hear(FROM_LEADER + bytes(KEPT + 1))[-2:] == (Ready(), Pause())


def test_the_ciphers_of_both_ends() -> None:
    """Records follow on the same ciphers as the KCM."""
    leader, follower, _, _ = met()
    for one, other in ((leader, follower), (follower, leader)):
        sealed = frame(one.ciphers[0], b"hello")
        assert Frames(other.ciphers[1]).feed(sealed) == [b"hello"]


def test_nothing_secret_is_shown() -> None:
    """Not in the text of the machine's values either."""
    noise = Noise(KEY, initiator=True, ephemeral=KEY)
    assert repr(Ours(b"hunter2", b"hunter2", noise)) == "Ours()"
