"""The three endpoints: python dilated_endpoints.py, and the same with CODE elsewhere."""

import sys

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import react

import holdfast


class Line(Protocol):
    """Sends what its factory has to say, and keeps what comes."""

    def connectionMade(self):
        self.transport.write(self.factory.words)

    def dataReceived(self, data):
        if not self.factory.came.called:
            self.factory.came.callback(data)


def saying(words):
    factory = Factory.forProtocol(Line)
    factory.words, factory.came = words, Deferred()
    return factory


async def go(reactor, code=None):
    w = holdfast.create("example.com/endpoints", "ws://127.0.0.1:4000/v1", reactor)
    d = w.dilate()
    if code is None:
        w.allocate_code()
        print("code:", await w.get_code(), flush=True)
    else:
        w.set_code(code)
    control_channel_ep, subchannel_client_ep, subchannel_server_ep = await d

    control = saying(b"one file comes" if code is None else b"I am listening")
    await control_channel_ep.connect(control)
    print("control:", (await control.came).decode())

    channel = saying(b"the file" if code is None else b"thanks")
    if code is None:
        await subchannel_client_ep.connect(channel)
    else:
        await subchannel_server_ep.listen(channel)
    print("subchannel:", (await channel.came).decode())
    await w.close()


react(go, sys.argv[1:])
