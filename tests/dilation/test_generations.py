"""Every state of the machine meets every input."""

from typing import Any

import pytest

from holdfast.dilation.control import Ignored, Please, Reconnect, Reconnecting
from holdfast.dilation.generations import (
    MANAGER,
    Dial,
    Drop,
    Effects,
    Inputs,
    Ready,
    Refused,
    Say,
    StartContest,
)
from holdfast.transit.hints import DirectHint

SIDE = "00000000000000aa"
HINTS = (DirectHint("192.0.2.1", 4001),)

SAMPLES: dict[str, tuple[Any, ...]] = {
    "want": (5.0,),
    "lead": (),
    "follow": (),
    "refuse": ("gone",),
    "hints": (HINTS,),
    "reconnect": (5.0,),
    "reconnecting": (),
    "connected": (),
    "lost": (5.0,),
    "resumed": (5.0,),
    "stop": (),
}

LEAD, FOLLOW = StartContest(leader=True, generation=4), StartContest(leader=False, generation=4)
GONE = (Drop(), Refused("gone"))
ANEW = (Drop(), Say(Reconnect()))
ODD = {
    "reconnect": (Ignored("a reconnect out of turn"),),
    "reconnecting": (Ignored("a reconnecting out of turn"),),
}

# State: the inputs that do something, where they lead, and what has to be done. All others change
# nothing, and at most tell a log.
TABLE: dict[str, dict[str, tuple[str, Effects]]] = {
    "waiting": {"want": ("wanting", (Say(Please(SIDE)),)), "connected": ("waiting", (Drop(),))},
    "wanting": {
        "lead": ("leading", (LEAD,)),
        "follow": ("following", (FOLLOW,)),
        "connected": ("wanting", (Drop(),)),
    },
    "leading": {
        "hints": ("leading", (Dial(HINTS),)),
        "connected": ("leading", (Ready(),)),
        "lost": ("flushing", ANEW),
        "resumed": ("flushing", ANEW),
    },
    "flushing": {"reconnecting": ("leading", (LEAD,)), "connected": ("flushing", (Drop(),))},
    "following": {
        "hints": ("following", (Dial(HINTS),)),
        "connected": ("following", (Ready(),)),
        "lost": ("following", (Drop(),)),
        "reconnect": ("following", (Say(Reconnecting()), FOLLOW)),
        "resumed": ("following", (FOLLOW,)),
    },
    "refused": {
        "connected": ("refused", (Drop(),)),
        "resumed": ("refused", (Refused("old peer"),)),
        "reconnect": ("refused", ()),
        "reconnecting": ("refused", ()),
    },
    "stopped": {
        "connected": ("stopped", (Drop(),)),
        "reconnect": ("stopped", ()),
        "reconnecting": ("stopped", ()),
    },
}
for _state in ("waiting", "wanting", "leading", "flushing", "following"):
    TABLE[_state] |= {"refuse": ("refused", GONE), "stop": ("stopped", (Drop(),))}


def part_in(state: str) -> Any:
    """The machine in that state, in its third generation and without a connection."""
    data = {"side": SIDE, "generation": 3, "lost_at": 1.0, "reason": "old peer"}
    return MANAGER.restore({"state": state, "data": data})


def test_the_table_knows_every_state_and_every_input() -> None:
    """Nothing is missing from the tables above."""
    inputs = {name for name in vars(Inputs) if not name.startswith("_")}
    assert inputs == {*SAMPLES, "where"}
    assert list(TABLE) == list(MANAGER.states)


@pytest.mark.parametrize("state", TABLE)
def test_every_cell(state: str) -> None:
    """Each input leads where the table says, and asks for what the table says."""
    for name, given in SAMPLES.items():
        part = part_in(state)
        expected = TABLE[state].get(name, (state, ODD.get(name, ())))
        effects = getattr(part.change(), name)(*given)
        assert (part.state, effects) == expected, name


@pytest.mark.parametrize("state", TABLE)
def test_saving_changes_nothing(state: str) -> None:
    """A machine that was saved and restored does what it would have done."""
    for name, given in SAMPLES.items():
        live, twin = part_in(state), MANAGER.restore(part_in(state).serialize())
        done = [getattr(part.change(), name)(*given) for part in (live, twin)]
        assert done[0] == done[1]
        assert live.serialize() == twin.serialize()
