"""Receive a file from whoever has the code, in a flow. Kill it as often as you like: it goes on."""

import os
from pathlib import Path

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol

from holdfast import Flow, flow


@flow("keep-file", appid="example.com/keep-file")
class KeepFile(Flow):
    path: str

    def started(self):
        self.wormhole.allocate_code()
        self.wormhole.dilate()

    def wormhole_got_code(self, code):
        self.publish(code=code)

    def wormhole_dilated(self, dilated):
        dilated.listener_for("file").listen(Keepers(self))

    def wormhole_cannot_dilate(self, error):
        self.fail(str(error))


class Keepers(Factory):
    def __init__(self, flow):
        self.flow = flow

    def buildProtocol(self, address):
        return Keeper(self.flow, address)


class Keeper(Protocol):
    def __init__(self, flow, address):
        self.flow = flow
        self.is_synced = True
        self.file = Path(flow.path).open("ab", buffering=0)
        # What came after the last commit comes again.
        self.file.truncate(address.state or 0)

    def dataReceived(self, data):
        if self.is_synced:
            self.is_synced = False
            self.flow.before_commit(os.fdatasync, self.file)
        self.file.write(data)

    def save_state(self):
        self.is_synced = True
        return self.file.tell()

    def connectionLost(self, reason):
        self.flow.before_commit(self.file.close)
        if reason.check(ConnectionDone):
            self.flow.finish()
        else:
            self.flow.fail("the other side is gone")
