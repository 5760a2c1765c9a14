"""A file between two Holdfasts of which either, or both, are killed at any moment.

With EVERY_MOMENT set in the environment, at every one.
"""

import os
from functools import partial

import pytest

from tests.harness.nursery import Death
from tests.harness.waiting import until
from tests.kill import transfers
from tests.kill.transfers import SIZE, check_whole, code_of, live, make, make_folder, names
from tests.kill.world import Walked, World

EVERY = bool(os.environ.get("EVERY_MOMENT"))


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
    """So many of them, each from the middle of its share; or all."""
    share = max(1, len(moments) // count)
    return moments if EVERY else moments[share // 2 :: share]


@pytest.mark.parametrize("dies", ["sender", "receiver"])
def test_killed_once(world: World, dies: str) -> None:
    """The receiver has the whole file, the sender knows it, and nothing else is left."""

    def some(moments: list[str]) -> list[str]:
        both = moments[moments.index("hear-version:before:1") :]
        # Between the landing and its commit, too.
        return [*evenly(both, 1), *({"place:after:1"} & {*moments})]

    world.walk(partial(exchange, dies=dies), some)


def test_both_killed_again_and_again(world: World) -> None:
    """Each time it goes on at the byte that is durable at the receiver."""
    what = make(world.folder / "again.bin")
    at = ["write:before:3", "write:before:4", "write:after:2"]
    sender = transfers.sender(world, what, deaths=[Death(at="record:before:9")] * 2)
    deaths = [Death(at=moment) for moment in at]
    receiver = transfers.receiver(world, code_of(sender), deaths=deaths)
    live(sender, receiver)
    check_whole(what, receiver)
    assert sender.status == 0, sender.describe()
    assert len(receiver.lives) == 4
    began = receiver.started_at
    assert began == sorted(began), "nothing that was durable came again"
    assert began[0] == 0 and began[-1] > SIZE // 4, began
    assert set(sender.started_at) <= set(began)


@pytest.mark.parametrize("at", ["place:after:1", *(["place:before:1"] if EVERY else [])])
def test_a_folder_killed_as_it_lands(world: World, at: str) -> None:
    """It is unpacked again, or found where it is; it is never there in part."""
    walked = exchange(world, Death(at=at), dies="receiver", folder=True)
    assert walked.died_at == at


def test_what_is_sent_changed_meanwhile(world: World) -> None:
    """Both sides hear of it, and nothing of either is left."""
    what = make(world.folder / "changed.bin")
    sender = transfers.sender(world, what)
    receiver = transfers.receiver(world, code_of(sender), deaths=[Death(at="write:after:5")])
    until(lambda: receiver.start().wait().status == -9, receiver.describe)
    what.write_bytes(what.read_bytes()[::-1])
    live(sender, receiver)
    for end in (sender, receiver):
        assert end.status == 1
        assert "has changed meanwhile" in end.reason
    assert names(receiver) == []
