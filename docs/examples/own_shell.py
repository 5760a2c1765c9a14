"""A wormhole on a blocking socket, without Twisted: Holdfast's core in a shell of one's own.

Kill it whenever you like, and start it again: it goes on with the same code.
"""

import json
import os
import time
from pathlib import Path

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from holdfast.core import checkpoint, events, notices
from holdfast.core.exchange import Exchange
from holdfast.core.wanted import Said, missing, used_up, wanted
from holdfast.rendezvous import wire

APPID = "example.com/quick"
URL = "ws://127.0.0.1:4000/v1"


class Shell:
    def __init__(self, path):
        self.path = path
        self.said = None  # what was said on this connection, once we are welcome
        self.socket = None
        if path.exists():
            self.exchange = checkpoint.load(json.loads(path.read_text())).exchange
        else:
            self.exchange = Exchange(APPID, os.urandom(5).hex())
            self.happen(events.AllocateCode(2))
            self.happen(events.SendMessage(b"outbound data"))

    # What the application does: returns what it wants to happen, and what to print.
    def react(self, notice):
        match notice:
            case notices.GotCode(code):
                return [], f"code: {code}"
            case notices.GotMessage(message):
                return [events.Close()], f"got: {message}"
            case notices.Closed(mood):
                return [], f"closed: {mood}"
        return [], None

    # How an event happens.
    def happen(self, *to_come):
        to_come, lines = list(to_come), []
        while to_come:
            for notice in self.exchange.apply(to_come.pop(0), os.urandom(32)) or ():
                reactions, line = self.react(notice)
                to_come += reactions
                lines.append(line)
        frames = () if self.said is None else wanted(self.exchange, self.said)
        self.exchange.saying(frames)
        for frame in frames:
            self.said.note(frame)
        self.save()  # and only then does anything leave
        for frame in frames:
            self.socket.send(wire.write(frame, os.urandom(2).hex()))
        for line in filter(None, lines):
            print(line)

    def save(self):
        document = checkpoint.save(URL, self.exchange, pending=())
        new = self.path.with_suffix(".new")
        with open(new, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)

    # What the server says.
    def hear(self, text):
        try:
            heard = wire.read(text)
        except wire.Malformed as error:
            heard = events.ServerMisbehaved(str(error))
        if isinstance(heard, events.Welcomed):
            self.said = Said()
        match heard:
            case None:
                return  # an ack, or something newer than us
            case wire.Pong():
                self.said.caught_up = True  # the mailbox has shown all that it holds
                lost = missing(self.exchange, self.said)
                self.happen(*([events.MailboxMissing()] if lost else []))
            case wire.Nameplates(listed):
                if self.exchange.nameplate.state in ("doubtful", "yielded"):
                    taken = self.exchange.nameplate.data.nameplate in listed
                    self.happen(events.NameplateListed(taken, lately=False))
            case events.MessageArrived():
                self.said.hear(heard, self.exchange)
                self.happen(heard)
            case _:
                self.happen(heard)

    # One connection after another.
    def run(self):
        while not self.exchange.ended:
            try:
                with connect(URL) as self.socket:
                    while not self.exchange.ended:
                        self.hear(self.socket.recv())
                        if self.said is not None and used_up(self.exchange, self.said):
                            break  # only another connection can go on
            except (OSError, WebSocketException):
                time.sleep(1)
            self.said = None
            if not self.exchange.ended:
                self.happen(events.ConnectionLost())


Shell(Path("own_shell.json")).run()
