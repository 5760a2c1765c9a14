"""Our command is killed in the middle of a file, and the stock client at the other end goes on.

The connection is kept meanwhile. `make kept` does the same at many more moments.
"""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.keepers import Keeper, Keeps, Store
from tests.harness.nursery import Death
from tests.harness.peers import (
    code_of,
    needs_william,
    william_receive_file,
    wormhole_send_file,
)
from tests.harness.waiting import until
from tests.kill import transfers
from tests.kill.kept import kept, live_with
from tests.kill.transfers import inbox, make, wait
from tests.kill.world import World

HALF_WAY = "record:before:5"
EVERYTHING_SENT = "commit-activity:before:2"
RECEIVING = (
    "write:before:7",
    "place:after:1",  # nobody has written down that it is in its place
)


@pytest.fixture
def what(world: World, request: pytest.FixtureRequest) -> Path:
    """A file that nobody else sends."""
    return make(world.folder / f"{request.node.name}.bin")


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keeper]:
    """A `holdfast keep`."""
    with Keeper(tmp_path) as keeper:
        yield keeper


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A stand-in for systemd."""
    with Store(tmp_path) as keeper:
        yield keeper


def released(keeper: Keeps) -> None:
    """What is over is not held."""
    until(lambda: not keeper.held(), "a connection is held still")


@needs_william
def test_sending(world: World, what: Path, keep: Keeper) -> None:
    """A process that is told to stop leaves the connection as it is, and so does one that dies."""
    what.write_bytes(what.read_bytes() * 5)
    deaths = [Death(halts=(HALF_WAY,)), Death(at=EVERYTHING_SENT)]
    sender = kept(transfers.sender(world, what, deaths=deaths), keep)
    inbox(sender.home).mkdir()
    code = transfers.code_of(sender)
    with william_receive_file(world.server.url, code, inbox(sender.home)) as peer:
        wait(lambda: sender.lives[0].halted_at(HALF_WAY), sender)
        peer.signal(signal.SIGSTOP)  # so that we cannot be quicker
        sender.lives[0].terminate()
        sender.lives[0].go_on()
        assert sender.lives[0].wait().status == 130
        sender.start()
        peer.signal(signal.SIGCONT)
        live_with(peer, sender, what)
    assert 0 < sender.started_at[1] < len(what.read_bytes())
    assert [life.died_at for life in sender.lives[1:]] == [EVERYTHING_SENT, None]
    released(keep)


def test_receiving(world: World, what: Path, store: Store) -> None:
    """A process that dies in the middle, and before the acknowledgement; systemd holds it."""
    with wormhole_send_file(world.server.url, what) as peer:
        deaths = [Death(at=each) for each in RECEIVING]
        receiver = transfers.receiver(world, code_of(peer), deaths=deaths)
        live_with(peer, kept(receiver, store), what)
    assert [life.died_at for life in receiver.lives] == [*RECEIVING, None], receiver.describe()
    released(store)
