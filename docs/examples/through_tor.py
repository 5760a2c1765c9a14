"""Exchange one message through Tor: python through_tor.py CONTROL_PORT CODE."""

import sys

from twisted.internet.task import react

import holdfast


async def go(reactor, control_port, code):
    try:
        tor = await holdfast.get_tor(reactor, tor_control_port=control_port)
    except holdfast.TorUnavailable as error:
        sys.exit(str(error))
    w = holdfast.create("example.com/quick", "ws://127.0.0.1:4000/v1", reactor, tor=tor)
    w.set_code(code)
    print("got:", await w.get_message())
    await w.close()


react(go, sys.argv[1:])
