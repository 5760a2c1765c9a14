"""The other end of quick.py, in delegated mode: python delegated.py CODE."""

import sys

from twisted.internet import reactor

import holdfast


class MyDelegate:
    def wormhole_got_code(self, code):
        print("code:", code)

    def wormhole_got_message(self, message):  # called for each message
        print(f"got data, {len(message)} bytes")
        w.send_message(b"thanks")
        w.close()

    def wormhole_closed(self, result):  # "happy", or the exception that says why not
        print("closed:", result)
        reactor.stop()


w = holdfast.create("example.com/quick", "ws://127.0.0.1:4000/v1", reactor, delegate=MyDelegate())
w.set_code(sys.argv[1])
reactor.run()
