"""Make a code, send one message, and wait for one."""

from twisted.internet.task import react

import holdfast


async def go(reactor):
    w = holdfast.create("example.com/quick", "ws://127.0.0.1:4000/v1", reactor)
    w.allocate_code()
    code = await w.get_code()
    print("code:", code)
    w.send_message(b"outbound data")
    inbound = await w.get_message()
    print("got:", inbound)
    await w.close()


react(go)
