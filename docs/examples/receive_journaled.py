"""Receive a file through a dilated wormhole, however often this program is killed and restarted.

The other side opens a subchannel called "file", writes the file to it, and closes it.
"""

import json
import os
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol

import holdfast

FILE = Path("received")


class Receiving:
    def __init__(self, path):
        self.path = path
        self.code = None
        self.journal = holdfast.Journal(self.save)
        self.wormhole = None

    def begin(self):
        if self.path.exists():
            saved = json.loads(self.path.read_text())
            self.code = saved["code"]
            print("going on; code:", self.code, flush=True)
            self.wormhole = holdfast.from_serialized(
                saved["wormhole"], reactor, delegate=self, journal=self.journal
            )
        else:
            self.wormhole = holdfast.create(
                "example.com/receiving",
                "ws://127.0.0.1:4000/v1",
                reactor,
                delegate=self,
                journal=self.journal,
            )
            self.wormhole.dilate()
            self.wormhole.allocate_code()

    def save(self):
        if self.wormhole is None:
            return  # it is just being loaded
        record = {"code": self.code, "wormhole": self.wormhole.serialize()}
        new = self.path.with_suffix(".new")
        with open(new, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            json.dump(record, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)

    def wormhole_got_code(self, code):
        self.code = code
        self.journal.queue_outbound(print, "code:", code)

    def wormhole_dilated(self, dilated):
        dilated.listener_for("file").listen(Files(self))

    def wormhole_closed(self, result):
        self.journal.queue_outbound(self.path.unlink)
        self.journal.queue_outbound(print, "result:", result)
        self.journal.queue_outbound(reactor.stop)


class Files(Factory):
    def __init__(self, receiving):
        self.receiving = receiving

    def buildProtocol(self, address):
        return File(self.receiving, address.state)


class File(Protocol):
    def __init__(self, receiving, size):
        self.receiving = receiving
        self.size = size or 0
        FILE.touch()
        # What came after the last commit comes again.
        os.truncate(FILE, self.size)
        print("bytes so far:", self.size, flush=True)

    def dataReceived(self, data):
        with FILE.open("ab") as file:
            file.write(data)
        self.size += len(data)

    def save_state(self):
        with FILE.open("r+b") as file:
            os.fsync(file.fileno())
        return self.size

    def connectionLost(self, reason):
        self.receiving.wormhole.close()


receiving = Receiving(Path("receiving.json"))
reactor.callWhenRunning(receiving.begin)
reactor.run()
