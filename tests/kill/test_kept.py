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
    wormhole_receive_file,
    wormhole_send_file,
)
from tests.harness.waiting import until
from tests.kill import transfers
from tests.kill.kept import kept, live_with
from tests.kill.transfers import PATIENCE, End, inbox, live, make, names, wait
from tests.kill.world import World

SENDING = (
    "commit-activity:before:2",  # the connection is kept, and not chosen
    "record:before:5",
    "commit-activity:before:2",  # the other side has everything
)
RECEIVING = (
    "write:before:7",
    "place:before:1",  # nothing is left in the connection
    "place:after:1",  # nobody has written down that it is in its place
)
"""At which moment each life ends. After more deaths in a row, a flow is blamed for them."""


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


def deaths(*moments: str) -> list[Death]:
    """One for each life."""
    return [Death(at=each) for each in moments]


def check_died(end: End, *moments: str) -> None:
    """Each life but the last died at its moment; and the keeper holds nothing for it."""
    assert [life.died_at for life in end.lives] == [*moments, None], end.describe()


def released(keeper: Keeps) -> None:
    """What is over is not held."""
    until(lambda: not keeper.held(), "a connection is held still")


def test_sending(world: World, what: Path, keep: Keeper) -> None:
    """From the choice of a connection to the acknowledgement, every moment is survived."""
    sender = kept(transfers.sender(world, what, deaths=deaths(*SENDING)), keep)
    inbox(sender.home).mkdir()
    code = transfers.code_of(sender)
    with wormhole_receive_file(world.server.url, code, inbox(sender.home)) as peer:
        live_with(peer, sender, what)
    check_died(sender, *SENDING)
    released(keep)


def test_receiving(world: World, what: Path, store: Store) -> None:
    """From the choice of a connection to the acknowledgement, every moment is survived."""
    with wormhole_send_file(world.server.url, what) as peer:
        receiver = transfers.receiver(world, code_of(peer), deaths=deaths(*RECEIVING))
        live_with(peer, kept(receiver, store), what)
    check_died(receiver, *RECEIVING)
    released(store)


@needs_william
def test_stopped(world: World, what: Path, keep: Keeper) -> None:
    """A process that is told to stop leaves the connection as it is, and the next one has it."""
    what.write_bytes(what.read_bytes() * 5)
    middle = "record:before:5"
    sender = kept(transfers.sender(world, what, deaths=[Death(halts=(middle,))]), keep)
    inbox(sender.home).mkdir()
    code = transfers.code_of(sender)
    with william_receive_file(world.server.url, code, inbox(sender.home)) as peer:
        wait(lambda: sender.lives[0].halted_at(middle), sender)
        peer.signal(signal.SIGSTOP)  # so that we cannot be quicker
        sender.lives[0].terminate()
        sender.lives[0].go_on()
        assert sender.lives[0].wait().status == 130
        sender.start()
        peer.signal(signal.SIGCONT)
        live_with(peer, sender, what)
    assert 0 < sender.started_at[1] < len(what.read_bytes())


@needs_william
@pytest.mark.parametrize("dies", [False, True], ids=["keeper", "both"])
def test_the_keeper_is_killed(world: World, what: Path, keep: Keeper, dies: bool) -> None:
    """Without a keeper nothing is lost, if nothing else happens; if it does, that is said."""
    middle = "record:before:5"
    sender = kept(transfers.sender(world, what, deaths=[Death(halts=(middle,))]), keep)
    inbox(sender.home).mkdir()
    code = transfers.code_of(sender)
    with william_receive_file(world.server.url, code, inbox(sender.home)) as peer:
        wait(lambda: sender.lives[0].halted_at(middle), sender)
        keep.kill()
        if not dies:
            sender.lives[0].go_on()
            live_with(peer, sender, what)
            return
        sender.lives[0].kill9()
        live(sender)
        assert peer.wait(PATIENCE).status != 0
    assert sender.status == 1
    assert "ask whether everything is there" in sender.reason
    assert names(sender) == []
