"""Collect a token: python collect_token.py CODE."""

import sys

from twisted.internet.task import react

import holdfast


async def collect(reactor, code):
    w = holdfast.create("example.com/issue-token", "ws://127.0.0.1:4000/v1", reactor)
    w.set_code(code)
    token = await w.get_message()
    print(token.decode())
    w.send_message(b"ok")
    await w.close()


react(collect, sys.argv[1:])
