"""The engine shreds what was kept long enough."""

from holdfast.flows.shipped.provision import Provision
from holdfast.transfer import text
from tests.flows.world import Peer, World


def accept(peer: Peer, _: bytes) -> None:
    peer.wormhole.send_message(text.accept())


def test_kept_and_shredded(world: World) -> None:
    """A flow that is done shows what it published for as long as it is kept, and no longer."""
    world.journal.retain = 300.0
    world.add(Provision(name="ann", secret="s3cret"))
    world.start()
    world.peer(world.code(), text.APPID, on_message=accept)
    world.until(world.finished)
    world.rest(200)
    assert "collected" in world.published()
    world.until(lambda: world.row().published is None, seconds=200)
    assert world.status() == "done"
