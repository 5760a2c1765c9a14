"""For tests of flows: everything around a flow, in memory, with a clock that the test advances.

    with World() as world:
        world.start(IssueToken(user="ada"))
        peer = world.peer(world.code())
        world.until(lambda: peer.messages)
        peer.send(b"ok")
        world.until(world.finished)
        assert world.status() == "done"

The mailbox server is a model, which Holdfast's own tests compare with the real one, answer by
answer. The engine, the wormholes and the journal are the real ones.
"""

from holdfast.testing.clock import Clock
from holdfast.testing.network import URL, Network
from holdfast.testing.peer import Peer
from holdfast.testing.server import MailboxServer
from holdfast.testing.world import World

__all__ = ["URL", "Clock", "MailboxServer", "Network", "Peer", "World"]
