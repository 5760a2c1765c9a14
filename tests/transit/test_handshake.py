"""Both ends of a handshake, in every state and cut everywhere."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from automat import NoTransition
from hypothesis import given
from hypothesis import strategies as st

from holdfast.transit.handshake import (
    MACHINES,
    STATES,
    Effects,
    LineHandshake,
    Lines,
    Lost,
    Paired,
    Ready,
    Send,
    Won,
)
from holdfast.transit.keys import Role, TransitKeys

KEYS = TransitKeys(bytes(range(32)))
SENDER, RECEIVER = KEYS.sender_line, KEYS.receiver_line
SIDE = "0123456789abcdef"
NOT_NEEDED = Lost("not needed")
WRONG = Lost("something else answered")

LINES = Lines(b"ours", b"theirs", b"relay")
OURS, RELAY, GO, NEVERMIND = Send(b"ours"), Send(b"relay"), Send(b"go\n"), Send(b"nevermind\n")

INPUTS: dict[str, tuple[object, ...]] = {
    "begin": (),
    "begin_at_relay": (),
    "paired": (),
    "recognized": (),
    "choose": (),
    "accepted": (b"more",),
    "lose": ("why",),
    "reject": (),
}

WHY = Lost("why")
TABLE: dict[Role, dict[str, dict[str, tuple[str, Effects]]]] = {
    "sender": {
        "fresh": {
            "begin": ("waiting", (OURS,)),
            "begin_at_relay": ("at_relay", (RELAY,)),
            "reject": ("lost", (NOT_NEEDED,)),
        },
        "at_relay": {
            "paired": ("waiting", (Paired(), OURS)),
            "lose": ("lost", (WHY,)),
            "reject": ("lost", (NOT_NEEDED,)),
        },
        "waiting": {
            "recognized": ("ready", (Ready(),)),
            "lose": ("lost", (WHY,)),
            "reject": ("lost", (NEVERMIND, NOT_NEEDED)),
        },
        "ready": {
            "choose": ("won", (GO, Won(b""))),
            "lose": ("lost", (WHY,)),
            "reject": ("lost", (NEVERMIND, NOT_NEEDED)),
        },
        "won": {"reject": ("won", ())},
        "lost": {"reject": ("lost", ())},
    },
    "receiver": {
        "fresh": {
            "begin": ("waiting", ()),
            "begin_at_relay": ("at_relay", (RELAY,)),
            "reject": ("lost", (NOT_NEEDED,)),
        },
        "at_relay": {
            "paired": ("waiting", (Paired(),)),
            "lose": ("lost", (WHY,)),
            "reject": ("lost", (NOT_NEEDED,)),
        },
        "waiting": {
            "recognized": ("ready", (Ready(),)),
            "lose": ("lost", (WHY,)),
            "reject": ("lost", (NOT_NEEDED,)),
        },
        "ready": {
            "choose": ("chosen", (OURS,)),
            "lose": ("lost", (WHY,)),
            "reject": ("lost", (NOT_NEEDED,)),
        },
        "chosen": {
            "accepted": ("won", (Won(b"more"),)),
            "lose": ("lost", (WHY,)),
            "reject": ("lost", (NOT_NEEDED,)),
        },
        "won": {"reject": ("won", ())},
        "lost": {"reject": ("lost", ())},
    },
}

PLACES = [(role, state.name) for role in ("sender", "receiver") for state in STATES[role]]


@pytest.mark.parametrize(("role", "state"), PLACES)
def test_every_input_in_every_state(role: Role, state: str) -> None:
    """Each leads where the table says, with these effects, or is not to be given."""
    for name in INPUTS:
        leads_where_the_table_says(role, state, name)


def leads_where_the_table_says(role: Role, state: str, name: str) -> None:
    named: dict[str, Any] = {each.name: each for each in STATES[role]}
    machine = MACHINES[role](LINES, named[state])
    outcome = TABLE[role][state].get(name)
    if outcome is None:
        with pytest.raises(NoTransition):
            getattr(machine, name)(*INPUTS[name])
    else:
        then, effects = outcome
        assert getattr(machine, name)(*INPUTS[name]) == effects
        assert machine.where() == then


def run(role: Role, said: bytes, cuts: list[int], *, relayed: bool) -> tuple[str, Effects]:
    """Let one end hear `said` in pieces, and choose as soon as it may."""
    handshake = LineHandshake(KEYS, role, SIDE if relayed else None)
    effects: list[Any] = list(handshake.begin())
    edges = sorted({0, *(cut % (len(said) + 1) for cut in cuts), len(said)})
    for start, end in pairwise(edges):
        more = handshake.hear(said[start:end])
        effects += more
        if Ready() in more:
            effects += handshake.choose()
    joined = b"".join(each.leftover for each in effects if isinstance(each, Won))
    return handshake.state, tuple(Won(joined) if isinstance(e, Won) else e for e in effects)


CONVERSATIONS: list[tuple[Role, bool, bytes, str]] = [
    ("sender", False, RECEIVER, "won"),
    ("sender", True, b"ok\n" + RECEIVER, "won"),
    ("sender", False, SENDER, "lost"),
    ("sender", True, RECEIVER, "lost"),
    ("sender", True, b"impatient\n", "lost"),
    ("sender", False, b"HTTP/1.1 400 Bad Request\r\n\r\n", "lost"),
    ("sender", False, RECEIVER[:-1], "waiting"),
    ("receiver", False, SENDER, "chosen"),
    ("receiver", False, SENDER[:-3], "waiting"),
    ("receiver", False, RECEIVER, "lost"),
    ("receiver", True, b"ok\n" + SENDER, "chosen"),
    ("receiver", True, b"bad handshake\n", "lost"),
    ("receiver", True, b"o", "at_relay"),
]


@pytest.mark.parametrize(("role", "relayed", "said", "end"), CONVERSATIONS)
@given(cuts=st.lists(st.integers(0, 1000), max_size=8))
def test_cuts(role: Role, relayed: bool, said: bytes, end: str, cuts: list[int]) -> None:
    """It makes no difference in which pieces the bytes come."""
    whole = run(role, said, [], relayed=relayed)
    assert whole[0] == end
    assert run(role, said, cuts, relayed=relayed) == whole


@given(cut=st.integers(1, 20), tail=st.binary(max_size=20))
def test_what_follows_go(cut: int, tail: bytes) -> None:
    """It is the application's, to the last byte; also if it looks like another line."""
    for more in (tail, b"nevermind\n" + tail, b"go\n"):
        handshake = LineHandshake(KEYS, "receiver")
        handshake.begin()
        handshake.hear(SENDER)
        handshake.choose()
        first, second = (b"go\n" + more)[:cut], (b"go\n" + more)[cut:]
        if cut < 3:
            assert handshake.hear(first) == ()
            assert handshake.hear(second) == (Won(more),)
        else:
            assert handshake.hear(first) == (Won(first[3:]),)
            assert handshake.hear(second) == ()


def ready(role: Role) -> LineHandshake:
    handshake = LineHandshake(KEYS, role)
    handshake.begin()
    assert handshake.hear(SENDER if role == "receiver" else RECEIVER) == (Ready(),)
    return handshake


def test_a_receiver_is_turned_down() -> None:
    """Before or after it has said its line, the sender may have chosen another."""
    declined = (Lost("the other side chose another connection"),)
    for pieces in ([b"nevermind\n"], [b"never", b"mind\n"]):
        early, late = ready("receiver"), ready("receiver")
        late.choose()
        for piece in pieces[:-1]:
            assert early.hear(piece) == late.hear(piece) == ()
        assert early.hear(pieces[-1]) == late.hear(pieces[-1]) == declined
        assert early.hear(b"go\n") == ()


def test_the_answer_may_be_split_by_our_choice() -> None:
    """The first half of a line that came before counts."""
    handshake = ready("receiver")
    assert handshake.hear(b"never") == ()
    assert handshake.choose() == (Send(RECEIVER),)
    assert handshake.hear(b"mind\n") == (Lost("the other side chose another connection"),)


@pytest.mark.parametrize(("role", "said"), [("sender", b"x"), ("receiver", b"go\n")])
def test_nobody_speaks_out_of_turn(role: Role, said: bytes) -> None:
    """A receiver waits for the sender's choice, and a sender for the receiver's line."""
    assert ready(role).hear(said) == (WRONG,)


@given(st.sampled_from(["sender", "receiver"]), st.booleans(), st.binary(max_size=200))
def test_the_first_wrong_byte(role: Role, relayed: bool, said: bytes) -> None:
    """Nothing is waited for that cannot be right any more."""
    right = (b"ok\n" if relayed else b"") + (SENDER if role == "receiver" else RECEIVER)
    state, _ = run(role, said, [], relayed=relayed)
    assert (state == "lost") == (not right.startswith(said))


def test_nothing_secret_is_shown() -> None:
    """Not in the text of effects either."""
    assert repr(Send(b"hunter2")) == "Send()"
    assert repr(Won(b"hunter2")) == "Won()"
    assert "hunter2" not in repr(Lines(b"hunter2", b"hunter2", b"hunter2"))
