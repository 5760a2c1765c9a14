"""Let the user type the code, with Tab for completion."""

import contextlib

from twisted.internet.task import react

import holdfast


async def go(reactor):
    w = holdfast.create("example.com/quick", "ws://127.0.0.1:4000/v1", reactor)
    welcome = await w.get_welcome()
    if "motd" in welcome:
        print(welcome["motd"])
    try:
        await holdfast.input_with_completion("Wormhole code: ", w.input_code(), reactor)
        print("got:", await w.get_message())
        w.send_message(b"thanks")
    except holdfast.WormholeError as error:
        print(error)
    with contextlib.suppress(holdfast.WormholeError):  # the same error again
        await w.close()


react(go)
