"""A file between two Holdfasts of which either, or both, are killed at any moment.

With EVERY_MOMENT set in the environment, at every one.
"""

import os
from functools import partial

import pytest

from tests.harness.nursery import Death
from tests.kill import transfers
from tests.kill.transfers import check_whole, code_of, live, make, make_folder
from tests.kill.world import Walked, World

EVERY = bool(os.environ.get("EVERY_MOMENT"))
OUT_OF_TURN = 5
"""Moments that may not come again: what two threads do at the same time has no fixed order."""


def exchange(world: World, death: Death, *, dies: str = "sender", folder: bool = False) -> Walked:
    """One file, or folder; the one side or the other dies once."""
    what = (make_folder if folder else make)(world.folder / f"{world.home().name}.bin")
    sender = transfers.sender(world, what, deaths=[death] if dies == "sender" else ())
    receiver = transfers.receiver(
        world, code_of(sender), deaths=[death] if dies == "receiver" else ()
    )
    live(sender, receiver)
    check_whole(what, receiver)
    assert sender.status == 0, sender.describe()
    world.check_one(sender.home, "done")
    dead = sender if dies == "sender" else receiver
    return Walked(dead.lives[0].died_at, dead.lives[0].moments, len(dead.lives))


def evenly(moments: list[str], count: int) -> list[str]:
    """So many of them, from the first to the last; or all."""
    return moments if EVERY else moments[:: max(1, len(moments) // count)]


@pytest.mark.parametrize("dies", ["sender", "receiver"])
def test_killed_once(world: World, dies: str) -> None:
    """The receiver has the whole file, the sender knows it, and nothing else is left."""

    def some(moments: list[str]) -> list[str]:
        first = "hear-version:before:1"
        return evenly(moments[moments.index(first) :], 9)

    missed = world.walk(partial(exchange, dies=dies), some)
    assert len(missed) <= OUT_OF_TURN, missed
