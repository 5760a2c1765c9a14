"""What holds connections when a process dies: `holdfast keep`, and a stand-in for systemd.

Both are used in the same way: commands get `env`, and run as `program`.
"""

import os
import select
import socket
import threading
from pathlib import Path
from typing import Protocol

from tests.harness.closing import Closing
from tests.harness.nursery import PROGRAM
from tests.harness.process import BIN, Child
from tests.harness.waiting import until

STORED = Path(__file__).with_name("stored.py")


class Keeps(Protocol):
    """One of the two."""

    program: Path

    @property
    def env(self) -> dict[str, str]:
        """What commands need to know."""

    def held(self) -> int:
        """How many descriptors it holds now."""

    def kill(self) -> None:
        """Let it vanish, with all that it holds; it is there again at once."""

    def close(self) -> None:
        """End it."""


class Keeper(Closing):
    """A `holdfast keep`, at `socket` in *folder*."""

    program = PROGRAM

    def __init__(self, folder: Path) -> None:
        self.path = folder / "keeper"
        self._start()

    @property
    def env(self) -> dict[str, str]:
        return {"HOLDFAST_KEEPER": str(self.path)}

    def held(self) -> int:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
            asking.connect(str(self.path))
            asking.send(b"count")
            return int(asking.recv(100).split()[0])

    def kill(self) -> None:
        self._child.kill9()
        self._start()

    def close(self) -> None:
        self._child.close()

    def _start(self) -> None:
        self._child = Child([BIN / "holdfast", "keep", "--socket", self.path])
        self._child.wait_for("^keeping connections: ")


class Store(Closing):
    """A unit's descriptor store, as systemd has it (sd_notify(3), sd_listen_fds(3)).

    It drops what is at its end, and answers barriers.
    """

    program = STORED

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(folder / "notify"))
        self._hands_over = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._hands_over.bind(str(folder / "stored"))
        self._hands_over.listen()
        self._held: dict[int, str] = {}
        self._wake, self._wakes = os.pipe()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def env(self) -> dict[str, str]:
        return {
            "NOTIFY_SOCKET": str(self._folder / "notify"),
            "STORED_AT": str(self._folder / "stored"),
        }

    def held(self) -> int:
        return len(self._held)

    def kill(self) -> None:
        os.write(self._wakes, b"k")
        until(lambda: not self._held, "the store is empty")

    def close(self) -> None:
        if self._thread.is_alive():
            os.write(self._wakes, b"c")
            self._thread.join()

    def _work(self) -> None:
        while self._turn():
            pass
        self._forget(*self._held)
        for each in (self._notify, self._hands_over):
            each.close()
        os.close(self._wake)
        os.close(self._wakes)

    def _turn(self) -> bool:
        poll = select.poll()
        for each in (self._notify, self._hands_over, self._wake):
            poll.register(each, select.POLLIN)
        for held in self._held:
            poll.register(held, 0)
        ready = {number for number, _ in poll.poll()}
        self._forget(*(each for each in self._held if each in ready))
        if self._notify.fileno() in ready:
            self._hear()
        if self._hands_over.fileno() in ready:
            asks, _ = self._hands_over.accept()
            with asks:
                names = ":".join(self._held.values()).encode()
                socket.send_fds(asks, [b"%d %s" % (len(self._held), names)], [*self._held])
        if self._wake in ready:
            if os.read(self._wake, 1) == b"c":
                return False
            self._forget(*self._held)
        return True

    def _hear(self) -> None:
        message, descriptors, _, _ = socket.recv_fds(self._notify, 4096, 10)
        said = dict(each.split("=", 1) for each in message.decode().split("\n"))
        if said.get("FDSTORE") == "1":
            [descriptor] = descriptors
            self._held[descriptor] = said["FDNAME"]
            return
        for each in descriptors:
            os.close(each)
        if said.get("FDSTOREREMOVE") == "1":
            self._forget(*(each for each, name in self._held.items() if name == said["FDNAME"]))

    def _forget(self, *descriptors: int) -> None:
        for each in descriptors:
            del self._held[each]
            os.close(each)
