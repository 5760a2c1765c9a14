"""The real mailbox server, in a process of its own, over real sockets.

Everything that a step causes has come when a ping on each connection is answered: the server has
one thread, and a connection keeps its order.
"""

import json
from collections.abc import Callable
from contextlib import ExitStack

from attrs import define, field
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.harness.server import MailboxServer
from tests.harness.waiting import DEADLINE

BARRIER = json.dumps({"type": "ping", "id": "barrier", "ping": "barrier"})


@define(eq=False, repr=False)
class SocketServer:
    """To be used as the model is."""

    process: MailboxServer
    lines: list["SocketLine"] = field(factory=list)

    def connect(self, deliver: Callable[[str], None], cut: Callable[[], None]) -> "SocketLine":
        line = SocketLine(self, deliver, cut)
        self.lines.append(line)
        self.settle()
        return line

    def settle(self) -> None:
        """Wait until everybody has heard all that there is to hear."""
        for line in tuple(self.lines):
            line.settle()

    def restart(self) -> None:
        """Kill it with SIGKILL, and start it again."""
        self.process.kill9()
        self.settle()
        self.process.start()

    def close(self) -> None:
        for line in tuple(self.lines):
            line.gone()


@define(eq=False, repr=False)
class SocketLine:
    """One connection."""

    server: SocketServer
    deliver: Callable[[str], None]
    cut: Callable[[], None]
    socket: ClientConnection = field(init=False)
    _open: ExitStack = field(factory=ExitStack)

    def __attrs_post_init__(self) -> None:
        link = connect(self.server.process.url, compression=None, ping_interval=None)
        self.socket = self._open.enter_context(link)

    def hear(self, text: str) -> None:
        self.socket.send(text)
        self.server.settle()

    def gone(self) -> None:
        if self in self.server.lines:
            self.server.lines.remove(self)
            self._open.close()

    def settle(self) -> None:
        try:
            self.socket.send(BARRIER)
            while (answer := str(self.socket.recv(DEADLINE))) and '"pong": "barrier"' not in answer:
                if '"id": "barrier", "type": "ack"' not in answer:
                    self.deliver(answer)
        except ConnectionClosed:
            self._open.close()
            self.server.lines.remove(self)
            self.cut()
