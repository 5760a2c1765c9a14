"""The network between two Holdfasts, or a stock client, fails in the middle of a file."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.harness.closing import Closing
from tests.harness.nursery import Death
from tests.harness.peers import wormhole_receive_file
from tests.harness.process import BIN, Child
from tests.kill import transfers
from tests.kill.transfers import check_whole, code_of, inbox, live, make, wait
from tests.kill.world import World

MIDDLE = "write:before:20"


@pytest.fixture
def what(world: World, request: pytest.FixtureRequest) -> Path:
    """A file that nobody else sends."""
    return make(world.folder / f"{request.node.name}.bin")


class Cable(Closing):
    """A port that leads to another one, until it is cut; then it leads there again."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Drop what is connected."""
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Lead nowhere."""
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                one, _ = self._door.accept()
                other = socket.create_connection(("127.0.0.1", self._to))
                self._open += [one, other]
                for source, target in ((one, other), (other, one)):
                    threading.Thread(target=_copy, args=(source, target), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


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


def by(port: int) -> tuple[str, ...]:
    """The words for the only way between two ends."""
    return ("--no-listen", "--transit", f"tcp:127.0.0.1:{port}")


def test_the_cable_is_cut(world: World, what: Path, cable: Cable) -> None:
    """Both wait for each other, and go on where they were."""
    way = by(cable.port)
    sender = transfers.sender(world, what, *way)
    receiver = transfers.receiver(
        world, code_of(sender), *way, deaths=[Death(halts=(MIDDLE, "write:before:30"))]
    )
    for moment in (MIDDLE, "write:before:30"):
        wait(
            lambda: receiver.lives and receiver.lives[0].halted_at(moment),  # noqa: B023
            sender,
            receiver,
        )
        cable.cut()
        receiver.lives[0].go_on()
    live(sender, receiver)
    check_whole(what, receiver)
    assert sender.status == 0
    assert len(receiver.started_at) >= 2 and receiver.started_at[-1] > 0


def test_the_relay_is_killed(world: World, what: Path) -> None:
    """It comes back, and they go on."""
    child, port = relay()
    with child:
        sender = transfers.sender(world, what, *by(port))
        receiver = transfers.receiver(
            world, code_of(sender), *by(port), deaths=[Death(halts=(MIDDLE,))]
        )
        wait(lambda: receiver.lives and receiver.lives[0].halted_at(MIDDLE), sender, receiver)
        child.kill9()
    receiver.lives[0].go_on()
    sender.lives[0].wait_for("^waiting: ", stream="err")
    again, _ = relay(port)
    with again:
        live(sender, receiver)
    check_whole(what, receiver)
    assert sender.status == 0
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
