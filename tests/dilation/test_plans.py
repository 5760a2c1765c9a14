"""Records that are planned: made when they are sent, and again when they have to be sent again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast_journal import Journal
from tests.api.world import CODE, Delegate
from tests.dilation.world import Made, Told, World
from tests.harness.reactor import flush_logged_errors


class Making(Told):
    """Makes numbers, or what a test wants."""

    makes: Any = None

    def make_record(self, plan: int, index: int) -> Any:
        return b"%d" % (plan + index) if self.makes is None else self.makes


def pair(world: World, delegate: Delegate, journal: Any = None) -> tuple[Any, Any, Any, Any]:
    """Our wormhole with a delegate and that of the peer, and what they dilate to."""
    ours, theirs = world.create(delegate=delegate, journal=journal), world.create()
    x, y = ours.dilate(), theirs.dilate()
    ours.set_code(CODE)
    theirs.set_code(CODE)
    world.run(5)
    return ours, theirs, x, y


def test_they_come_in_their_order_among_others() -> None:
    world = World()
    _, _, x, y = pair(world, Delegate())
    listening = Made()
    world.result(y.listener_for("name").listen(listening))
    ours = world.result(x.connector_for("name").connect(Made(Making)))
    ours.transport.write(b"first")
    ours.transport.write_plan(7, 3, size=10)
    ours.transport.write(b"last")
    ours.transport.loseConnection()
    ours.transport.write_plan(100, 1)
    world.run(1)
    assert listening.made[0].data == [b"first", b"7", b"8", b"9", b"last"]


def test_what_cannot_be_planned() -> None:
    world = World()
    _, _, x, _ = pair(world, Delegate())
    ours = world.result(x.connector_for("name").connect(Made(Making)))
    for count in (0, -1, 10_001, 1.0):
        with pytest.raises(ValueError, match="1 to 10,000"):
            ours.transport.write_plan(0, count)
    plain = world.result(x.connector_for("name").connect(Made()))
    with pytest.raises(TypeError, match="make_record"):
        plain.transport.write_plan(0, 1)


@pytest.mark.parametrize("wrong", ["text", bytes(64 * 2**20)], ids=["text", "too long"])
def test_a_maker_that_is_wrong(wrong: Any) -> None:
    """That is the application's failure, as in every other call of it."""
    world, delegate = World(), Delegate()
    _, _, x, _ = pair(world, delegate)
    ours = world.result(x.connector_for("name").connect(Made(Making)))
    ours.makes = wrong
    ours.transport.write_plan(0, 1)
    world.run(1)
    assert isinstance(delegate.got("closed"), TypeError | ValueError)
    assert flush_logged_errors(TypeError, ValueError)


def test_a_plan_without_its_maker() -> None:
    """After a restart everything behind it waits until its subchannel has a protocol."""
    world, delegate = World(), Delegate()
    saved: list[str] = []
    journal = Journal(lambda: saved.append(json.dumps(ours[0].serialize())) if ours else None)
    ours: list[Any] = []
    made, _, x, y = pair(world, delegate, journal)
    ours.append(made)
    listening = Made()
    world.result(y.listener_for("name").listen(listening))
    one = world.result(x.connector_for("name").connect(Made(Making)))
    world.result(x.connector_for("name").connect(Made()))
    world.run(1)
    world.sockets.refuses = True
    world.sockets.cut()
    one.transport.write_plan(5, 2)
    world.run(1)
    made.abandon()
    world.sockets.refuses = False
    again = Delegate()
    ours[0] = world.resume(saved[-1], again)
    world.run(20)
    dilated = again.got("dilated")
    assert [each.data for each in listening.made] == [[], []]

    def build(address: Any) -> Any:
        return Making(address) if address.number == one.address.number else Told(address)

    first, second = dilated.connector_for("name").resume(Made(build))
    second.transport.write(b"later")
    world.run(20)
    assert [each.data for each in listening.made] == [[b"5", b"6"], [b"later"]]
    assert first.address.resumed


def test_a_protocol_that_lets_go_of_its_wormhole() -> None:
    """In the middle of what came at once: it hears no more."""
    world, delegate = World(), Delegate()
    ours, _, x, y = pair(world, delegate)
    listening = Made()
    world.result(x.listener_for("name").listen(listening))
    theirs = world.result(y.connector_for("name").connect(Made()))
    world.run(1)
    [mine] = listening.made
    mine.on_data = lambda data: ours.abandon()
    for _ in range(3):
        theirs.transport.write(b"x")
    world.run(1)
    assert mine.told == ["made", b"x"]
