"""The network between two Holdfasts, or a stock client, fails in the middle of a file."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.cable import Cable
from tests.harness.nursery import Death
from tests.harness.peers import wormhole_receive_file
from tests.harness.process import BIN, Child
from tests.kill import transfers
from tests.kill.transfers import End, check_whole, code_of, inbox, live, make, wait
from tests.kill.world import World

MIDDLE, NOT_SENT = "write:before:5", "record:before:8"


@pytest.fixture
def what(world: World, request: pytest.FixtureRequest) -> Path:
    """A file that nobody else sends."""
    return make(world.folder / f"{request.node.name}.bin")


def relay(port: int = 0) -> tuple[Child, int]:
    """Start a transit relay; return it and its port."""
    child = Child([BIN / "holdfast", "relay", "--listen", f"127.0.0.1:{port}"])
    return child, int(child.wait_for(r"tcp:127\.0\.0\.1:(\d+)$")[1])


@pytest.fixture
def cable() -> Iterator[Cable]:
    """A relay, behind a cable."""
    child, port = relay()
    with child, Cable(port) as made:
        yield made


def free_port() -> int:
    """A port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def by(port: int) -> tuple[str, ...]:
    """The words for the only way between two ends."""
    return ("--no-listen", "--transit", f"tcp:127.0.0.1:{port}")


def halted(world: World, what: Path, way: tuple[str, ...]) -> tuple[End, End]:
    """Two ends that both stand still in the middle: what is missing has not been sent."""
    sender = transfers.sender(world, what, *way, deaths=[Death(halts=(NOT_SENT,))])
    code = code_of(sender)
    receiver = transfers.receiver(world, code, *way, deaths=[Death(halts=(MIDDLE,))])
    wait(
        lambda: (
            sender.lives[0].halted_at(NOT_SENT)
            and receiver.lives
            and receiver.lives[0].halted_at(MIDDLE)
        ),
        sender,
        receiver,
    )
    return sender, receiver


def test_the_cable_is_cut(world: World, what: Path, cable: Cable) -> None:
    """Both wait for each other, and go on where they were."""
    sender, receiver = halted(world, what, by(cable.port))
    cable.cut()
    for end in (sender, receiver):
        end.lives[0].go_on()
    live(sender, receiver)
    check_whole(what, receiver)
    assert sender.status == 0
    assert len(receiver.started_at) == 2 and receiver.started_at[1] > 0, receiver.started_at


def test_the_relay_is_killed(world: World, what: Path) -> None:
    """It comes back, and they go on."""
    child, port = relay()
    with child:
        sender, receiver = halted(world, what, by(port))
        child.kill9()
    for end in (sender, receiver):
        end.lives[0].go_on()
    sender.lives[0].wait_for("^waiting: ", stream="err")
    again, _ = relay(port)
    with again:
        live(sender, receiver)
    check_whole(what, receiver)
    assert sender.status == 0
    assert receiver.started_at[-1] > 0


def test_another_port_after_the_restart(world: World, what: Path) -> None:
    """Somebody else has the ports by now: each end says where it is, and there they meet."""
    sender = transfers.sender(world, what, "--port", str(free_port()))
    code = code_of(sender)
    receiver = transfers.receiver(world, code, deaths=[Death(halts=(MIDDLE,))])
    wait(lambda: receiver.lives and receiver.lives[0].halted_at(MIDDLE), sender, receiver)
    port = int(sender.words[-1])
    for end in (sender, receiver):
        end.lives[0].kill9()
    with socket.create_server(("", port)):
        live(sender, receiver)
    check_whole(what, receiver)
    assert receiver.started_at[-1] > 0


def test_the_relay_of_a_stock_client_is_killed(world: World, what: Path) -> None:
    """Our status says what it can have."""
    child, port = relay()
    with child, Cable(port) as slow:
        way = ("--no-listen", "--transit", f"tcp:127.0.0.1:{slow.port}")
        sender = transfers.sender(world, what, *way, deaths=[Death(halts=("record:before:4",))])
        into = inbox(sender.home)
        into.mkdir()
        code = code_of(sender)
        with wormhole_receive_file(world.server.url, code, into, f"tcp:127.0.0.1:{port}") as peer:
            wait(lambda: sender.lives[0].halted_at("record:before:4"), sender)
            child.kill9()
            slow.cut()
            sender.lives[0].go_on()
            live(sender)
            assert peer.wait().status != 0
    assert sender.status == 1
    assert "the connection ended after about" in sender.reason
    assert "with a new code" in sender.reason
    assert not (into / what.name).exists()
    row = sender.row()["name"]
    assert world.start(sender.home, "retry", row).wait().status == 0
