"""Run as a program: `victim`, which gets what `tests.harness.keepers.Store` holds, as systemd does.

What is stored gets the numbers from 3 on: the program has nothing else open.
"""

import fcntl
import os
import socket

import victim

FIRST = 3
AWAY = 500


def take():
    """Take what is stored, and tell of it as systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.connect(os.environ.pop("STORED_AT"))
        message, descriptors, _, _ = socket.recv_fds(asking, 65536, AWAY)
    moved = [fcntl.fcntl(each, fcntl.F_DUPFD, AWAY) for each in descriptors]
    for each in descriptors:
        os.close(each)
    for number, each in enumerate(moved, FIRST):
        os.dup2(each, number)
        os.close(each)
    count, _, names = message.decode().partition(" ")
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=count, LISTEN_FDNAMES=names)


if __name__ == "__main__":
    take()
    victim.main()
