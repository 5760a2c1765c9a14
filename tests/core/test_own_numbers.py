"""A number that is not the server's: chosen by us, or that of a code which was given out before."""

import pytest

from holdfast.core import events as ev
from holdfast.core import notices as out
from tests.core.clients import World, no_code, run_to_the_end, settle
from tests.core.mailboxes import STRANGER

CODE = "654321-any-words"


def asked(event: ev.Event) -> World:
    """A world in which that is asked for, and then everything arrives."""
    world = no_code()
    world.us.happen(event)
    return world


def meet(world: World) -> None:
    """The peer comes with the code; both finish, and nothing is left."""
    world.peer.happen(ev.SetCode(world.us.code))
    world.peer.connect()
    settle(world.us, world.peer)
    for client in (world.us, world.peer):
        client.happen(ev.Close())
    run_to_the_end(world.us, world.peer)
    assert world.us.ending == world.peer.ending == out.Closed("happy", "", "")
    assert not world.server.nameplates


@pytest.mark.parametrize("died", [False, True])
@pytest.mark.parametrize(
    "event", [ev.AllocateCode(2, discreet=True, digits=6), ev.SetCode(CODE, True, again=True)]
)
def test_it_is_claimed_if_it_is_free(event: ev.Event, died: bool) -> None:
    """Also by the next process."""
    world = asked(event)
    if died:
        world.us.die()
        world.us.connect()
    settle(world.us)
    [number] = world.server.nameplates
    assert len(number) == 6
    assert world.us.code.startswith(f"{number}-")
    assert out.GotCode(world.us.code) in world.us.told
    meet(world)


def test_another_one_is_chosen_if_somebody_has_it() -> None:
    """With as many digits and words; and the stranger sees nothing of us."""
    world = asked(ev.AllocateCode(3, discreet=True, digits=6))
    first = world.us.code
    world.server.take(first.partition("-")[0])
    settle(world.us)
    # The shell goes on with the same list; here the next connection asks again.
    world.us.lose()
    world.us.connect()
    settle(world.us)
    assert world.us.code != first
    assert len(world.us.code.partition("-")[0]) == 6
    assert world.us.code.count("-") == 3
    assert world.server.nameplates[first.partition("-")[0]].claims == {STRANGER}
    assert len(world.server.nameplates) == 2


def test_a_code_that_people_have_is_not_replaced() -> None:
    """It is lost."""
    world = asked(ev.SetCode(CODE, True, again=True))
    world.server.take("654321")
    settle(world.us)
    assert world.us.ending == out.Closed("errory", "CodeLostError", "")
    assert world.server.nameplates["654321"].claims == {STRANGER}
