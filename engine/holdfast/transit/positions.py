"""How far both streams of a TCP connection are, as Linux counts them for whoever holds its socket.

The system counts from the connection's beginning what was written to the socket and what was read
from it, whichever process did so. So a process that gets the socket of a dead one knows where it
has stopped (tcp(7): TCP_INFO, SIOCOUTQ, SIOCINQ; the fields are those of `struct tcp_info`).
"""

import fcntl
import socket
import struct
import sys
import termios
from contextlib import suppress
from typing import Final

from attrs import frozen

_COUNTS: Final = struct.Struct("=B119xQQ")
"""Of `struct tcp_info`: the state, then `tcpi_bytes_acked` and `tcpi_bytes_received`."""

_OTHER_SIDE_ENDED: Final = frozenset({8, 9, 11})
"""The states in which the other side's FIN has come, which is counted as one byte received:
CLOSE_WAIT, LAST_ACK and CLOSING."""

_TRIES: Final = 1000


@frozen
class Position:
    """How far the two streams are.

    Args:
        sent: bytes that were written to the socket, whether or not they have left.
        taken: bytes that were read from the socket.
    """

    sent: int
    taken: int

    def since(self, before: "Position") -> "Position":
        """Return how much further this is."""
        return Position(self.sent - before.sent, self.taken - before.taken)


def position_of(connected: socket.socket) -> Position | None:
    """Return how far a TCP connection is; None if this system does not count that.

    The numbers begin anywhere: only differences count. Nobody may write or read meanwhile.
    """
    if sys.platform != "linux":
        return None
    with suppress(OSError):
        for _ in range(_TRIES):
            before = _counts(connected)
            if before is None:
                return None
            waiting = queued(connected, termios.TIOCOUTQ), queued(connected, termios.FIONREAD)
            if _counts(connected) == before:  # or else something has come in between
                acknowledged, received = before
                return Position(acknowledged + waiting[0], received - waiting[1])
    return None


def _counts(connected: socket.socket) -> tuple[int, int] | None:
    info = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    if len(info) < _COUNTS.size:
        return None
    state, acknowledged, received = _COUNTS.unpack_from(info)
    return acknowledged, received - (state in _OTHER_SIDE_ENDED)


def queued(connected: socket.socket, which: int) -> int:
    """Return how many bytes are in one of a socket's queues."""
    (count,) = struct.unpack("=i", fcntl.ioctl(connected, which, bytes(4)))
    return int(count)
