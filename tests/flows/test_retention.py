"""The engine shreds what was kept long enough."""

from collections.abc import Iterator

import pytest

from holdfast.flows.shipped.provision import Provision
from holdfast.testing import Peer
from holdfast.transfer import messages
from tests.flows.world import World


def accept(peer: Peer, _: bytes) -> None:
    peer.send(messages.accept_text())


@pytest.fixture
def world() -> Iterator[World]:
    made = World(retain=300.0)
    yield made
    made.stop()


def test_kept_and_shredded(world: World) -> None:
    """A flow that is done shows what it published for as long as it is kept, and no longer."""
    world.add(Provision(name="ann", secret="s3cret"))
    world.serve()
    world.peer(world.code(), on_message=accept)
    world.until(world.finished)
    world.advance(200)
    assert "collected" in world.published()
    world.until(lambda: world.row().published is None, seconds=200)
    assert world.status() == "done"
