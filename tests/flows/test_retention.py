"""The engine shreds what was kept long enough."""

from holdfast.flows.shipped.provision import Provision
from holdfast.testing import Peer
from holdfast.transfer import text
from tests.flows.world import World


def accept(peer: Peer, _: bytes) -> None:
    peer.send(text.accept())


def test_kept_and_shredded(world: World) -> None:
    """A flow that is done shows what it published for as long as it is kept, and no longer."""
    world.journal.retain = 300.0
    world.add(Provision(name="ann", secret="s3cret"))
    world.serve()
    world.peer(world.code(), on_message=accept)
    world.until(world.finished)
    world.advance(200)
    assert "collected" in world.published()
    world.until(lambda: world.row().published is None, seconds=200)
    assert world.status() == "done"
