"""What else happens to a transfer between two Holdfasts: the network, the disk, people."""

from pathlib import Path

import pytest

from tests.harness.nursery import Death
from tests.harness.process import Child
from tests.harness.transfers import FULL
from tests.harness.waiting import until
from tests.kill import transfers
from tests.kill.transfers import End, check_whole, code_of, live, make, names, wait
from tests.kill.world import World

MIDDLE = "write:before:5"
"""A moment of a receiver in the middle of a file."""


@pytest.fixture
def what(world: World, request: pytest.FixtureRequest) -> Path:
    """A file that nobody else sends."""
    return make(world.folder / f"{request.node.name}.bin")


def halted(world: World, what: Path) -> tuple[End, End]:
    """Two ends, of which the receiver stands still in the middle."""
    sender = transfers.sender(world, what)
    receiver = transfers.receiver(world, code_of(sender), deaths=[Death(halts=(MIDDLE,))])
    wait(lambda: receiver.lives and receiver.lives[0].halted_at(MIDDLE), sender, receiver)
    return sender, receiver


def stuck(world: World, what: Path) -> tuple[End, End, Path]:
    """Two ends, of which the receiver waits in the middle until there is no such file."""
    sender, receiver = halted(world, what)
    full = receiver.home / FULL
    full.touch()
    receiver.lives[0].go_on()
    receiver.lives[0].wait_for("waiting: the disk is full", stream="err")
    return sender, receiver, full


def control(world: World, end: End, *words: str) -> Child:
    """Another command on the database of one end."""
    return world.start(end.home, *words, **end.env)


def test_a_full_disk(world: World, what: Path) -> None:
    """It waits and says so, and goes on when there is room."""
    sender, receiver, full = stuck(world, what)
    full.unlink()
    live(sender, receiver)
    check_whole(what, receiver)
    assert receiver.started_at == [0], "nothing came twice"


@pytest.mark.parametrize(
    ("cancels", "alive"), [("sender", False), ("receiver", True)], ids=["sender-dead", "receiver"]
)
def test_cancelled(world: World, what: Path, cancels: str, alive: bool) -> None:
    """The other side hears of it, and nothing is left of what had come."""
    sender, receiver, _ = stuck(world, what)
    one, other = (sender, receiver) if cancels == "sender" else (receiver, sender)
    if not alive:
        one.lives[0].kill9()
    name = one.row()["name"]
    told = control(world, one, "cancel", name).wait()
    assert told.status == 0, told
    live(other)
    assert other.status == 1
    who = "the sender" if one is sender else "the recipient"
    assert f"{who} has cancelled it" in other.reason
    if alive:
        assert one.lives[0].wait().status == 1
    assert one.row()["status"] == "cancelled"
    assert names(receiver) == []


@pytest.mark.parametrize("stops", ["sender", "receiver"])
def test_asked_to_stop(world: World, what: Path, stops: str) -> None:
    """Whoever is asked by SIGTERM ends soon, and goes on the next time."""
    sender, receiver = halted(world, what)
    end = sender if stops == "sender" else receiver
    end.lives[0].terminate()
    receiver.lives[0].go_on()
    stopped = end.lives[0].wait(10)
    assert stopped.status == 130, stopped
    end.start()
    live(sender, receiver)
    check_whole(what, receiver)
    if stops == "receiver":
        assert receiver.started_at[-1] > 0


def test_two_commands_at_once(world: World, what: Path) -> None:
    """The second one does nothing twice, and hears how it ends."""
    sender, receiver, full = stuck(world, what)
    again = [world.start(end.home, *end.words, **end.env) for end in (sender, receiver)]
    again[0].wait_for(sender.lives[0].out.strip())
    again[1].wait_for("waiting: the disk is full", stream="err")
    full.unlink()
    live(sender, receiver)
    check_whole(what, receiver)
    assert receiver.started_at == [0]
    assert [each.wait().status for each in again] == [0, 0], again


def test_another_worker_takes_over(world: World, what: Path) -> None:
    """`holdfast run` goes on with what a command that died has begun."""
    sender, receiver = halted(world, what)
    sender.lives[0].kill9()
    worker = world.start(sender.home, "run", **sender.env)
    receiver.lives[0].go_on()
    live(receiver)
    check_whole(what, receiver)
    until(lambda: sender.row()["status"] == "done", worker.describe)
    worker.terminate()
    worker.wait()


def test_retried(world: World, what: Path) -> None:
    """What has failed is sent once more, all of it, under a new code."""
    sender, receiver, _ = stuck(world, what)
    name = receiver.row()["name"]
    assert control(world, receiver, "cancel", name).wait().status == 0
    live(sender)
    assert sender.status == 1
    told = control(world, sender, "retry", sender.row()["name"]).wait()
    assert told.status == 0, told
    old = sender.lives[0].out
    sender.start()
    code = until(lambda: sender.lives[1].out, sender.describe)
    assert code != old
    other = transfers.receiver(world, code.strip())
    live(sender, other)
    check_whole(what, other)
    assert sender.status == 0, sender.describe()
