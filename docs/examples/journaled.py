"""A greeting and its answer, however often this program is killed and restarted.

Kill it whenever you like, and start it again: it continues with the same code.
"""

import json
import os
from pathlib import Path

from twisted.internet import reactor

import holdfast


class Greeting:
    def __init__(self, path):
        self.path = path
        self.data = {"code": None, "answer": None, "result": None}
        self.journal = holdfast.Journal(self.save)
        self.wormhole = None

    def begin(self):
        if self.path.exists():
            saved = json.loads(self.path.read_text())
            self.data = saved["data"]
            print("going on; code:", self.data["code"], "answer:", self.data["answer"])
            if self.data["result"] is not None:
                reactor.stop()
                return
            self.wormhole = holdfast.from_serialized(
                saved["wormhole"], reactor, delegate=self, journal=self.journal
            )
        else:
            self.wormhole = holdfast.create(
                "example.com/greeting",
                "ws://127.0.0.1:4000/v1",
                reactor,
                delegate=self,
                journal=self.journal,
            )
            self.wormhole.allocate_code()

    # Saving.
    def save(self):
        """Save the program's own data and the wormhole's, both or neither."""
        if self.wormhole is None:
            return  # it is just being loaded
        record = {"data": self.data, "wormhole": self.wormhole.serialize()}
        new = self.path.with_suffix(".new")
        with open(new, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            json.dump(record, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)

    # Events.
    def wormhole_got_code(self, code):
        self.data["code"] = code
        self.wormhole.send_message(b"hello")
        self.journal.queue_outbound(print, "code:", code)

    def wormhole_got_message(self, message):
        self.data["answer"] = message.decode()
        self.wormhole.close()

    def wormhole_closed(self, result):
        self.data["result"] = str(result)
        self.journal.queue_outbound(print, "answer:", self.data["answer"], "result:", result)
        self.journal.queue_outbound(reactor.stop)


greeting = Greeting(Path("greeting.json"))
reactor.callWhenRunning(greeting.begin)
reactor.run()
