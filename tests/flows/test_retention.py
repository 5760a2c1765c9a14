"""The engine shreds what was kept long enough."""

from collections.abc import Iterator

import pytest

from holdfast.flows import text
from holdfast.flows.provision import Provision
from tests.flows.world import Peer, World


def accept(peer: Peer, _: bytes) -> None:
    peer.wormhole.send_message(text.accept())


@pytest.fixture
def world() -> Iterator[World]:
    made = World(retain=300.0)
    yield made
    made.stop()


def test_kept_and_shredded(world: World) -> None:
    """A flow that is done shows what it published for as long as it is kept, and no longer."""
    world.add(Provision(name="ann", secret="s3cret"))
    world.start()
    world.peer(world.code(), text.APPID, on_message=accept)
    world.until(world.finished)
    world.rest(200)
    assert "collected" in world.published()
    world.until(lambda: world.row().published is None, seconds=200)
    assert world.status() == "done"
