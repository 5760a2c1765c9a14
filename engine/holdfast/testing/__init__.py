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

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.testing.clock import Clock
    from holdfast.testing.network import URL, Network
    from holdfast.testing.peer import Peer
    from holdfast.testing.server import MailboxServer
    from holdfast.testing.world import World

__all__ = ["URL", "Clock", "MailboxServer", "Network", "Peer", "World"]

# Imported when first asked for: the server alone needs nothing of the rest.
_HOMES = {
    "URL": "holdfast.testing.network",
    "Clock": "holdfast.testing.clock",
    "MailboxServer": "holdfast.testing.server",
    "Network": "holdfast.testing.network",
    "Peer": "holdfast.testing.peer",
    "World": "holdfast.testing.world",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
