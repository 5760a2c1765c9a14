"""Running a flow once, so that what libraries make at the first use is there: see `fork_server`.

SQLAlchemy compiles statements, cattrs makes converters, and the interpreter adapts its own code. A
fork that runs a flow needs a tenth less if all that was done before it.
"""

import holdfast
from holdfast.flows import base
from holdfast.testing.world import World

KIND = "warming"


def run_a_flow():
    """Let a flow talk to its peer, in a world without sockets; nothing of it is left."""

    @holdfast.flow(KIND, appid="example.com/warming")
    class Warming(holdfast.Flow):
        def started(self):
            self.wormhole.allocate_code()

        def wormhole_got_code(self, code):
            self.publish(code=code)

        def wormhole_got_versions(self, _versions):
            self.wormhole.send_message(b"hello")

        def wormhole_got_message(self, _message):
            self.wormhole.close()

    with World() as world:
        world.start(Warming())
        world.peer(world.code(), lambda peer, message: peer.send(message))
        world.until(world.finished)
    del base._kinds[KIND]
