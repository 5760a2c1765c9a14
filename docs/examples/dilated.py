"""One subchannel, there and back: python dilated.py, and python dilated.py CODE elsewhere."""

import sys

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import react

import holdfast


class Answering(Protocol):
    def dataReceived(self, data):
        self.transport.write(data.upper())

    def connectionLost(self, reason):
        self.factory.done.callback(None)


class Asking(Protocol):
    def connectionMade(self):
        self.transport.write(b"good day")

    def dataReceived(self, data):
        self.transport.loseConnection()
        self.factory.answer.callback(data)


async def go(reactor, code=None):
    w = holdfast.create("example.com/dilated", "ws://127.0.0.1:4000/v1", reactor)
    dilated = w.dilate()
    if code is None:
        answering = Factory.forProtocol(Answering)
        answering.done = Deferred()
        dilated.listener_for("upper-case").listen(answering)
        w.allocate_code()
        print("code:", await w.get_code(), flush=True)
        await answering.done
    else:
        w.set_code(code)
        asking = Factory.forProtocol(Asking)
        asking.answer = Deferred()
        await dilated.connector_for("upper-case").connect(asking)
        print("the other side says:", (await asking.answer).decode())
    await w.close()


react(go, sys.argv[1:])
