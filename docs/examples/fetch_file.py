"""Be the other end of ship_file.py: python fetch_file.py CODE PATH."""

import hashlib
import json
import sys
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import react

import holdfast  # or: import wormhole as holdfast


class Receiver(Protocol):
    left = None

    def connectionMade(self):
        self.digest = hashlib.sha256()

    def dataReceived(self, data):
        if self.left is None:
            self.left = json.loads(data)["size"]
        else:
            self.factory.file.write(data)
            self.digest.update(data)
            self.left -= len(data)
        if self.left == 0:
            self.transport.write(self.digest.hexdigest().encode())

    def connectionLost(self, reason):
        self.factory.over.callback(None)


async def fetch(reactor, code, path):
    w = holdfast.create("example.com/ship-file", "ws://127.0.0.1:4000/v1", reactor, dilation=True)
    receiving = Factory.forProtocol(Receiver)
    receiving.over = Deferred()
    with Path(path).open("wb") as receiving.file:
        w.dilate().listener_for("file").listen(receiving)
        w.set_code(code)
        await receiving.over
    await w.close()


react(fetch, sys.argv[1:])
