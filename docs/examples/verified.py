"""Send nothing before two people have compared the verifier."""

from twisted.internet.task import react
from twisted.internet.threads import deferToThread

import holdfast


async def go(reactor):
    w = holdfast.create("example.com/quick", "ws://127.0.0.1:4000/v1", reactor)
    w.allocate_code()
    print("code:", await w.get_code())
    verifier = await w.get_verifier()
    answer = await deferToThread(input, f"Does the other side have {verifier.hex()}? ")
    if answer == "yes":
        w.send_message(b"outbound data")
    await w.close()


react(go)
