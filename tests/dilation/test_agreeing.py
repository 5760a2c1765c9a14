"""Two sides, with anything happening to them and between them: they always connect again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.dilation.control import Please, Reconnect, Reconnecting
from tests.dilation.agreeing import End, Ours, Stock, World

LOW, MIDDLE, HIGH = "00000000000000aa", "77777777777777aa", "ffffffffffffffaa"

STEPS = ("begin", "deliver", "dial", "notice", "hints", "confirm", "cut", "die")
STORY = st.lists(st.tuples(st.sampled_from(STEPS), st.booleans()), min_size=8, max_size=20)
STORIES = st.lists(STORY, min_size=3, max_size=3)
"""Between them, all comes to rest."""
REACHABLE = st.sampled_from([frozenset({LOW}), frozenset({HIGH}), frozenset({LOW, HIGH})])
ENDS: dict[str, tuple[type[End], type[End]]] = {
    "both ours": (Ours, Ours),
    "stock follows": (Stock, Ours),
    "stock leads": (Ours, Stock),
}


def count(end: End, kind: type) -> int:
    """How many messages of that kind a side has said."""
    return sum(isinstance(control, kind) for control in end.said)


@pytest.mark.parametrize("ends", ENDS)
@settings(max_examples=40)
@given(stories=STORIES, reachable=REACHABLE)
def test_they_connect_again(
    ends: str, stories: list[list[tuple[str, bool]]], reachable: frozenset[str]
) -> None:
    """Whatever happened, both are linked in the end, and nothing was said that stock dies of."""
    follower, leader = ENDS[ends][0](LOW), ENDS[ends][1](HIGH)
    world = World(follower, leader, reachable)
    for story in stories:
        for what, whom in story:
            world.step(what, whom)
        world.settle()
        assert world.linked
    assert (count(leader, Please), count(follower, Please)) == (1, 1)
    assert (count(leader, Reconnecting), count(follower, Reconnect)) == (0, 0)
    assert count(leader, Reconnect) == count(follower, Reconnecting)
