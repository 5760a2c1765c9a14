"""Run as a program: the stock mailbox server, by its own makeService(), until stdin ends.

Prints one line, `mailbox server: ws://127.0.0.1:PORT/v1`, once it listens.
The stock retention (660 s, swept every 300 s) is a constant of the package; tests that want
to see a server forget may give shorter ones. `--slow-commit` seconds pass at every commit, as on a
slow disk.
"""

import argparse
import socket
import sqlite3
import time
from functools import partial

from twisted.internet import reactor
from twisted.internet.protocol import Protocol
from twisted.internet.stdio import StandardIO
from wormhole_mailbox_server import database, server_tap


class StopAtEndOfInput(Protocol):
    """Our parent holds the other end: when that is gone, so are we."""

    def connectionLost(self, reason):
        if reactor.running:
            reactor.stop()


def slow_down(delay):
    """Let every commit take so much longer."""

    class Slow(sqlite3.Connection):
        def commit(self):
            time.sleep(delay)
            super().commit()

    class Module:
        """`sqlite3`, as far as the server's module knows it, with slow connections."""

        connect = staticmethod(partial(sqlite3.connect, factory=Slow))

        def __getattr__(self, name):
            return getattr(sqlite3, name)

    database.sqlite3 = Module()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--expiration", type=float)
    parser.add_argument("--sweep", type=float)
    parser.add_argument("--motd")
    parser.add_argument("--slow-commit", type=float)
    given = parser.parse_args()
    if given.slow_commit is not None:
        slow_down(given.slow_commit)
    if given.expiration is not None:
        server_tap.CHANNEL_EXPIRATION_TIME = given.expiration
    if given.sweep is not None:
        server_tap.EXPIRATION_CHECK_PERIOD = given.sweep
    options = server_tap.Options()
    arguments = [f"--port=tcp:{given.port}:interface=127.0.0.1", f"--channel-db={given.database}"]
    if given.motd is not None:
        arguments.append(f"--motd={given.motd}")
    options.parseOptions(arguments)
    service = server_tap.makeService(options)
    service.privilegedStartService()
    service.startService()
    # The service keeps a failure to listen to itself; a connection tells.
    socket.create_connection(("127.0.0.1", given.port)).close()
    StandardIO(StopAtEndOfInput())
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.callWhenRunning(print, f"mailbox server: ws://127.0.0.1:{given.port}/v1", flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
