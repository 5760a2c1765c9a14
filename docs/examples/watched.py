"""Watch the connection and the key, and record when each message was sent and received."""

from twisted.internet.task import react

import holdfast
from holdfast.status import ConfirmedKey, Connected, Unreachable


def changed(status):
    match status.mailbox_connection:
        case Unreachable(url=url, reason=reason, retry_in=seconds):
            print(f"cannot reach {url}: {reason}; trying again in {seconds:.0f} s")
        case Connected(url=url):
            print("connected to", url)
    if isinstance(status.peer_key, ConfirmedKey):
        print("the peer knows the code")


async def go(reactor):
    timing = holdfast.DebugTiming()
    w = holdfast.create(
        "example.com/quick",
        "ws://127.0.0.1:4000/v1",
        reactor,
        timing=timing,
        on_status_update=changed,
    )
    w.allocate_code()
    print("code:", await w.get_code())
    print("got:", await w.get_message())
    await w.close()
    timing.write("timing.json")


react(go)
