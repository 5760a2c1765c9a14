"""Send a file to whoever has the code. Kill it as often as you like: it goes on."""

import hashlib
import json
from math import ceil
from pathlib import Path

from attrs import field
from twisted.internet.protocol import Factory, Protocol

from holdfast import Flow, flow, task

RECORD = 65_000
AT_ONCE = 8


@flow("ship-file", appid="example.com/ship-file")
class ShipFile(Flow):
    path: str
    digest: str = field(default="", init=False)

    def started(self):
        self.wormhole.allocate_code()
        self.wormhole.dilate()

    def wormhole_got_code(self, code):
        self.publish(code=code)

    def wormhole_dilated(self, dilated):
        file = dilated.connector_for("file")
        if dilated.resumed:
            file.resume(Senders(self))
        else:
            file.connect(Senders(self))

    def wormhole_cannot_dilate(self, error):
        self.fail(str(error))

    def answered(self, digest):
        self.digest = digest
        self.perform("digest", path=self.path)

    def digest_done(self, digest):
        if digest == self.digest:
            self.finish()
        else:
            self.fail("what the other side has is not what was sent")


class Senders(Factory):
    def __init__(self, flow):
        self.flow = flow

    def buildProtocol(self, address):
        return Sender(self.flow, address)


class Sender(Protocol):
    def __init__(self, flow, address):
        self.flow = flow
        self.path = Path(flow.path)
        self.size = self.path.stat().st_size
        self.is_new = not address.resumed
        self.planned = address.state or 0

    def connectionMade(self):
        if self.is_new:
            self.transport.write(json.dumps({"size": self.size}).encode())
        self.transport.registerProducer(self, streaming=False)

    # What is sent: a few records at a time, whenever there is room for more.
    def resumeProducing(self):
        count = min(AT_ONCE, ceil(self.size / RECORD) - self.planned)
        if count:
            self.transport.write_plan({"first": self.planned}, count)
            self.planned += count
        else:
            self.transport.unregisterProducer()

    def stopProducing(self):
        pass

    def make_record(self, plan, index):
        with self.path.open("rb") as file:
            file.seek((plan["first"] + index) * RECORD)
            return file.read(RECORD)

    # What is saved with each commit.
    def save_state(self):
        return self.planned

    # What comes back.
    def dataReceived(self, data):
        self.flow.answered(data.decode())

    def connectionLost(self, reason):
        if not self.flow.digest:
            self.flow.fail("the other side has closed it without an answer")


@task("digest", blocks=True)
def digest(call):
    with Path(call.arguments["path"]).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
