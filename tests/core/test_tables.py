"""Every state of every machine meets every input: a transition, or a refusal listed here."""

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import attrs
import pytest
from automat import NoTransition, TypeMachineBuilder

from holdfast.core import code, inbox, key, lifecycle, mailbox, nameplate, outbox
from holdfast.core.machine import Part, blueprint
from holdfast.core.parts import PARTS
from holdfast.errors import BadCheckpoint

MODULES: dict[str, Any] = {
    "code": code,
    "nameplate": nameplate,
    "mailbox": mailbox,
    "key": key,
    "outbox": outbox,
    "inbox": inbox,
    "lifecycle": lifecycle,
}

SAMPLES: dict[str, dict[str, tuple[object, ...]]] = {
    "code": {
        "allocate": ("0102",),
        "enter": ("4-purple-sausages",),
        "choose": ("444444-purple-sausages",),
        "type": (),
        "choose_nameplate": ("4",),
        "choose_words": ("purple-sausages",),
        "ask": (),
        "allocated": ("4",),
        "tell": (),
        "again": ("0102",),
        "choose_again": ("444444-purple-sausages",),
        "abandon": (),
    },
    "nameplate": {
        "want": ("4",),
        "seek": ("4",),
        "claim": (),
        "claimed": ("m",),
        "release": (),
        "released": (),
        "doubt": (),
        "free": (),
        "keep": (),
        "lose": (),
        "yield_": (),
        "drop": (),
    },
    "mailbox": {"found": ("m",), "close": ("happy",), "closed": (), "forget": ()},
    "key": {
        "start": ("aa",),
        "keep": ("bb",),
        "drop": (),
        "agree": ("cc",),
        "refuse": (),
        "confirm": (),
    },
    "outbox": {
        "send": ("aa",),
        "say": ("aa",),
        "seen": (1,),
        "flow": (),
        "put": ("0", "bb"),
        "echoed": ("0",),
        "forget": (),
        "withdraw": (),
        "missing": (),
        "shut": (),
    },
    "inbox": {
        "arrived": ("s", "0", "aa"),
        "unlock": (),
        "opened": ("0", "bb"),
        "dilate": (),
        "shut": (),
    },
    "lifecycle": {
        "prove": (),
        "close": (),
        "distrust": (),
        "fail": ("errory", "ServerError", "why"),
        "give_up": (),
        "finish": (),
    },
}

DATA: dict[str, dict[str, object]] = {"code": {"draw": "0102", "code": ""}}

# Machine, state: the inputs that go to another state, or to the same; all others are refused.
TABLE: dict[str, dict[str, dict[str, str]]] = {
    "code": {
        "unset": {
            "allocate": "wanted",
            "enter": "known",
            "choose": "known",
            "type": "typing",
            "abandon": "abandoned",
        },
        "wanted": {"ask": "asked", "abandon": "abandoned"},
        "asked": {"ask": "asked", "allocated": "known", "abandon": "abandoned"},
        "typing": {"choose_nameplate": "typing_words", "abandon": "abandoned"},
        "typing_words": {"choose_words": "known", "abandon": "abandoned"},
        "known": {"tell": "known", "again": "wanted", "choose_again": "known"},
        "abandoned": {},
    },
    "nameplate": {
        "none": {"want": "wanted", "seek": "yielded", "release": "released"},
        "wanted": {"claim": "claiming", "release": "released"},
        "claiming": {
            "claim": "claiming",
            "claimed": "claimed",
            "release": "releasing",
            "doubt": "doubtful",
        },
        "claimed": {"release": "releasing", "doubt": "doubtful"},
        "releasing": {"release": "releasing", "released": "released"},
        "released": {"release": "released"},
        "doubtful": {
            "free": "wanted",
            "keep": "claimed",
            "lose": "lost",
            "release": "lost",
            "yield_": "yielding",
        },
        "lost": {"release": "lost", "drop": "none"},
        "yielding": {"released": "yielded", "release": "releasing"},
        "yielded": {"free": "wanted", "lose": "lost", "release": "released"},
    },
    "mailbox": {
        "unknown": {"found": "open", "close": "closed"},
        "open": {"close": "closing", "forget": "unknown"},
        "closing": {"close": "closing", "closed": "closed"},
        "closed": {"close": "closed", "found": "open"},
    },
    "key": {
        "fresh": {"start": "started", "keep": "answered", "refuse": "refused"},
        "started": {"agree": "agreed", "refuse": "refused", "drop": "fresh"},
        "answered": {"agree": "agreed", "refuse": "refused"},
        "agreed": {"confirm": "confirmed"},
        "confirmed": {"confirm": "confirmed"},
        "refused": {},
    },
    "outbox": {
        "holding": {
            "send": "holding",
            "say": "holding",
            "seen": "holding",
            "flow": "flowing",
            "put": "holding",
            "echoed": "holding",
            "withdraw": "holding",
            "forget": "holding",
            "missing": "holding",
            "shut": "shut",
        },
        "flowing": {
            "send": "flowing",
            "say": "flowing",
            "seen": "flowing",
            "flow": "flowing",
            "put": "flowing",
            "echoed": "flowing",
            "forget": "flowing",
            "missing": "flowing",
            "shut": "shut",
        },
        "shut": dict.fromkeys(
            (
                "send",
                "say",
                "seen",
                "flow",
                "put",
                "echoed",
                "forget",
                "missing",
                "shut",
            ),
            "shut",
        ),
    },
    "inbox": {
        "locked": {
            "arrived": "locked",
            "unlock": "unlocked",
            "dilate": "locked",
            "shut": "shut",
        },
        "unlocked": {
            "arrived": "unlocked",
            "opened": "unlocked",
            "dilate": "unlocked",
            "shut": "shut",
        },
        "shut": dict.fromkeys(("arrived", "unlock", "opened", "dilate", "shut"), "shut"),
    },
    "lifecycle": {
        "lonely": {
            "prove": "happy",
            "close": "closing",
            "distrust": "closing",
            "fail": "leaving",
            "give_up": "lonely",
            "finish": "lonely",
        },
        "happy": {
            "prove": "happy",
            "close": "closing",
            "distrust": "closing",
            "fail": "leaving",
            "give_up": "happy",
            "finish": "happy",
        },
        "closing": {
            "prove": "closing",
            "close": "closing",
            "distrust": "closing",
            "fail": "leaving",
            "give_up": "closing",
            "finish": "ended",
        },
        "leaving": {
            "prove": "leaving",
            "close": "leaving",
            "distrust": "leaving",
            "fail": "leaving",
            "give_up": "ended",
            "finish": "ended",
        },
        "ended": dict.fromkeys(
            ("prove", "close", "distrust", "fail", "give_up", "finish"), "ended"
        ),
    },
}


def cells(machine: str) -> Iterator[tuple[str, str]]:
    """Each state of a machine with each of its inputs."""
    return product(PARTS[machine].states, SAMPLES[machine])


def part_in(machine: str, state: str) -> Part[Any, Any, Any]:
    """A part of that machine in that state, with some data where its behaviour needs them."""
    given = {**attrs.asdict(PARTS[machine].data()), **DATA.get(machine, {})}
    return PARTS[machine].restore({"state": state, "data": given})


@pytest.mark.parametrize("machine", MODULES)
def test_the_table_knows_every_state_and_every_input(machine: str) -> None:
    """No state and no input of a machine is missing from the tables above."""
    inputs = {name for name in vars(MODULES[machine].Inputs) if not name.startswith("_")}
    assert inputs == {*SAMPLES[machine], "where"}
    assert list(TABLE[machine]) == list(PARTS[machine].states)
    assert {*PARTS} == {*MODULES}


@pytest.mark.parametrize("machine", MODULES)
def test_every_cell_of_the_table_is_decided(machine: str) -> None:
    """Each input in each state leads where the table says, or is refused; effects are a tuple."""
    for state, name in cells(machine):
        is_decided(machine, state, name)


def is_decided(machine: str, state: str, name: str) -> None:
    part = part_in(machine, state)
    expected = TABLE[machine][state].get(name)
    call = getattr(part.change(), name)
    if expected is None:
        with pytest.raises(NoTransition):
            call(*SAMPLES[machine][name])
        assert part.state == state
    else:
        assert isinstance(call(*SAMPLES[machine][name]), tuple)
        assert part.state == expected


@pytest.mark.parametrize("machine", MODULES)
def test_every_state_answers_with_its_name(machine: str) -> None:
    """`where` gives the name under which the state is restored, and the first one begins."""
    states = list(PARTS[machine].states)
    assert len(set(states)) == len(states)
    assert [part_in(machine, state).state for state in states] == states
    assert PARTS[machine].begin(PARTS[machine].data()).state == states[0]


@pytest.mark.parametrize("machine", MODULES)
def test_saving_between_inputs_changes_nothing(machine: str) -> None:
    """A part that was saved and restored does what the part itself would have done."""
    for state, name in cells(machine):
        does_the_same_when_saved(machine, state, name)


def does_the_same_when_saved(machine: str, state: str, name: str) -> None:

    def outcome(part: Part[Any, Any, Any]) -> object:
        try:
            return getattr(part.change(), name)(*SAMPLES[machine][name]), part.serialize()
        except NoTransition as refused:
            return refused.symbol

    live = part_in(machine, state)
    saved = PARTS[machine].restore(json.loads(json.dumps(live.serialize())))
    assert outcome(live) == outcome(saved)


@pytest.mark.parametrize(
    "record",
    [
        None,
        [],
        {},
        {"state": "lonely"},
        {"state": "no such state", "data": {}},
        {"state": 1, "data": {}},
        {"state": "lonely", "data": {"mood": 1}},
        {"state": "lonely", "data": {}, "more": 1},
    ],
    ids=str,
)
def test_a_damaged_part_is_refused(record: object) -> None:
    """What `serialize` never gave is a BadCheckpoint."""
    with pytest.raises(BadCheckpoint):
        PARTS["lifecycle"].restore(record)


def test_states_of_one_name_are_refused() -> None:
    """Two states that share a name cannot be told apart in a checkpoint, and are never built."""
    builder = TypeMachineBuilder(mailbox.Inputs, mailbox.Mailbox)
    twins = [builder.state("same"), builder.state("same")]
    with pytest.raises(ValueError, match="share a name"):
        blueprint(builder, mailbox.Inputs.where, mailbox.Mailbox, twins)


def test_states_that_the_types_do_not_know_are_refused() -> None:
    """The names that a type checker knows are those of the states, in their order."""
    builder = TypeMachineBuilder(mailbox.Inputs, mailbox.Mailbox)
    states = [builder.state(name) for name in ("unknown", "open", "closed")]
    with pytest.raises(ValueError, match="not those of its Literal"):
        blueprint(builder, mailbox.Inputs.where, mailbox.Mailbox, states)
