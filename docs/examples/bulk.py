"""Send a megabyte past the mailbox server: python bulk.py, and python bulk.py CODE elsewhere."""

import json
import sys

from twisted.internet.task import react

import holdfast


async def go(reactor, code=None):
    w = holdfast.create("example.com/bulk", "ws://127.0.0.1:4000/v1", reactor)
    if code is None:
        w.allocate_code()
        print("code:", await w.get_code(), flush=True)
    else:
        w.set_code(code)
    await w.get_verifier()

    transit = w.create_transit("sender" if code is None else "receiver")
    hints = await transit.get_connection_hints()
    w.send_message(json.dumps(hints).encode())
    transit.add_connection_hints(json.loads(await w.get_message()))
    connection = await transit.connect()

    if code is None:
        connection.send_record(b"x" * 1_000_000)
        print("the other side says:", (await connection.receive_record()).decode())
    else:
        record = await connection.receive_record()
        connection.send_record(f"{len(record):,} bytes came".encode())
    connection.close()
    await w.close()


react(go, sys.argv[1:])
