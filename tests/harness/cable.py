"""A port that leads to another one, until it is cut."""

import socket
import threading
from collections.abc import Iterable
from contextlib import suppress

from tests.harness.closing import Closing


class Cable(Closing):
    """A port that leads to another one on this host, also again after it was cut.

    Args:
        port: where it leads.
        lasts: after so many bytes, both ways together, it is cut by itself: a number for each
            connection. Those behind the last number last.
    """

    def __init__(self, port: int, lasts: Iterable[int] = ()) -> None:
        self._to = port
        self._lasts = iter(lasts)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self._open: list[socket.socket] = []
        self._copying: list[threading.Thread] = []
        self._strands: list[_Strand] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def cuts(self) -> int:
        """How many connections were cut because they had lasted long enough."""
        return len([each for each in self._strands if each.left == 0])

    def cut(self) -> None:
        """Drop what is connected."""
        _drop(self._open)

    def close(self) -> None:
        """Lead nowhere."""
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._door.close()
        self.cut()
        for each in self._copying:
            each.join()
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                one, _ = self._door.accept()
                self._open.append(one)
                try:
                    other = socket.create_connection(("127.0.0.1", self._to))
                except OSError:
                    _drop([one])
                else:
                    self._open.append(other)
                    self._copy(one, other)

    def _copy(self, one: socket.socket, other: socket.socket) -> None:
        strand = _Strand((one, other), next(self._lasts, None))
        self._strands.append(strand)
        for ends in ((one, other), (other, one)):
            copying = threading.Thread(target=strand.copy, args=ends, daemon=True)
            copying.start()
            self._copying.append(copying)


class _Strand:
    """One connection through a cable, which lasts for so many bytes."""

    def __init__(self, ends: tuple[socket.socket, socket.socket], lasts: int | None) -> None:
        self._ends = ends
        self.left = lasts
        self._turn = threading.Lock()

    def copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                passing = self._take(len(data))
                target.sendall(data[:passing])
                if passing < len(data):
                    break
        _drop(self._ends)

    def _take(self, size: int) -> int:
        with self._turn:
            if self.left is None:
                return size
            size = min(size, self.left)
            self.left -= size
            return size


def _drop(sockets: Iterable[socket.socket]) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
