"""A line to PostgreSQL that breaks, or stands still, at the worst moment: around a COMMIT."""

import contextlib
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from pathlib import Path

from attrs import define, field

from tests.journal.helpers import PATIENCE

_SOCKET = ".s.PGSQL.5432"
_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
"""The message of the frontend protocol (version 3, "Simple Query") that psycopg sends."""


class At(Enum):
    """What happens to the next COMMIT."""

    ITS_WAY = auto()  # the line breaks before it arrives
    ITS_ANSWER = auto()  # it arrives, and the line breaks before its answer does
    LATE = auto()  # its answer comes when `Proxy.go_on` is set


@define(eq=False)
class Proxy:
    """Passes on what comes, until it is told to break."""

    target: Path
    folder: Path
    at: At | None = None
    came: threading.Event = field(factory=threading.Event)
    """Set when the COMMIT has come, and has arrived if it was to."""
    go_on: threading.Event = field(factory=threading.Event)
    sockets: list[socket.socket] = field(factory=list)
    threads: list[threading.Thread] = field(factory=list)

    def serve(self, listener: socket.socket) -> None:
        """Accept connections until `listener` is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                self.sockets += (client, server)
                server.connect(str(self.target / _SOCKET))
                for work in (self._to_server, self._to_client):
                    self.threads.append(threading.Thread(target=work, args=(client, server)))
                    self.threads[-1].start()

    def close(self) -> None:
        """End every connection."""
        _cut(*self.sockets)
        for thread in self.threads:
            thread.join(PATIENCE)
        for each in self.sockets:
            each.close()

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if _COMMIT in data and self.at is At.ITS_WAY:
                    self.at = None
                    self.came.set()
                    break
                server.sendall(data)
        _cut(client, server)

    def _to_client(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if b"COMMIT\x00" in data and self.at is not None:
                    at, self.at = self.at, None
                    self.came.set()
                    if at is At.ITS_ANSWER:
                        break
                    assert self.go_on.wait(PATIENCE)
                client.sendall(data)
        _cut(client, server)


def _cut(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(target: Path) -> Iterator[Proxy]:
    """A proxy before the server in the folder `target`; its own folder is the host to use."""
    folder = Path(tempfile.mkdtemp(prefix="holdfast-line-", dir="/tmp"))
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / _SOCKET))
            listener.listen()
            made = Proxy(target, folder)
            accepting = threading.Thread(target=made.serve, args=(listener,), daemon=True)
            accepting.start()
            yield made
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join(PATIENCE)
            made.close()
    finally:
        shutil.rmtree(folder)
