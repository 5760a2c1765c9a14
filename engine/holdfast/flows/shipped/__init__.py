"""For tests of flows: everything that they meet, in memory, at a clock that is turned by hand.

```python
with World() as world:
    world.start(IssueToken(user="ada"))
    peer = world.peer(world.code())
    world.until(lambda: peer.messages)
    peer.send(b"ok")
    world.until(world.finished)
    assert world.status() == "done"
```

The mailbox server is a model, which Holdfast's own tests compare with the real one, answer by
answer; engine, wormholes and journal are the real ones.
"""

from holdfast.testing.clock import Clock
from holdfast.testing.network import Network
from holdfast.testing.peer import Peer
from holdfast.testing.server import MailboxServer
from holdfast.testing.world import World

__all__ = ["Clock", "MailboxServer", "Network", "Peer", "World"]
