"""A connection as a thread sees it that moves the bulk of a transfer: blocking calls, own buffers.

Twisted makes the connection, and then lets go of it. What follows is one thread's work: every call
that takes time (socket, cipher, digest, file) releases the interpreter's lock.
"""

import select
import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Final, Protocol, TypeVar

from holdfast.transit.errors import WireError

IDLE: Final = 900.0
"""Seconds without a byte after which a connection is given up.

No stock client has such a limit (transit.md has none), so it only ends a transfer whose other side
hangs. It is longer than our own longest silence: a receiver whose disk is full waits ten minutes
for room."""

KEEPALIVE: Final = 60
"""Seconds of silence after which the operating system asks whether the other host is still there.

It asks so often that NAT gateways do not forget the connection, and gives it up after
`KEEPALIVE_TRIES` unanswered questions."""

KEEPALIVE_INTERVAL: Final = 20
KEEPALIVE_TRIES: Final = 6


T = TypeVar("T")
R = TypeVar("R")


class Wire(Protocol):
    """One connection to the other side, for one thread; `interrupt` alone is for others."""

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`; wait as long as the other side does not take it.

        Raises:
            WireError: the connection ended or was interrupted, or nothing was taken for too long.
        """

    def receive_into(self, buffer: memoryview) -> int:
        """Wait for bytes, put some at the start of `buffer`, and return how many; 0 at the end.

        `buffer` is not empty.

        Raises:
            WireError: the connection broke or was interrupted, or nothing came for too long.
        """

    def readable(self, seconds: float) -> bool:
        """Whether `receive_into` would return at once; waits up to `seconds` until it would.

        Raises:
            WireError: the connection was interrupted.
        """

    def interrupt(self) -> None:
        """From any thread: let every call, now and later, raise WireError soon."""

    def close(self) -> None:
        """End the connection. Calling it again does nothing."""


def receive_exactly(wire: Wire, length: int) -> bytes:
    """The next `length` bytes from `wire`, and not one more.

    Raises:
        WireError: the connection ended before, or broke.
    """
    received = bytearray(length)
    have = 0
    while have < length:
        count = wire.receive_into(memoryview(received)[have:])
        if count == 0:
            raise WireError("The other side closed the connection.")
        have += count
    return bytes(received)


class SocketWire:
    """A `Wire` over a connected stream socket.

    Args:
        descriptor: the socket's file descriptor; this object owns it and closes it. A duplicate of
            a descriptor that Twisted uses is fine, as long as only one of them reads or writes.
        leftover: bytes that were read from the socket before, and come first.
        idle: seconds without progress after which a call gives up.
    """

    def __init__(self, descriptor: int, leftover: bytes = b"", *, idle: float = IDLE) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.settimeout(idle)
        self._leftover = leftover
        self._idle = idle
        self._interrupted = False
        self._lock = Lock()  # a descriptor that is closed may belong to another file at once
        keep_alive(self._socket)

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`."""
        rest = memoryview(data)
        while rest:
            # Not sendall: its time limit is one for all of the data.
            rest = rest[self._guarded(self._socket.send, rest) :]

    def receive_into(self, buffer: memoryview) -> int:
        """Wait for bytes and put them at the start of `buffer`."""
        if self._leftover:
            count = min(len(self._leftover), len(buffer))
            buffer[:count] = self._leftover[:count]
            self._leftover = self._leftover[count:]
            return count
        return self._guarded(self._socket.recv_into, buffer)

    def readable(self, seconds: float) -> bool:
        """Whether there is something to receive, or the end, within `seconds`."""
        if self._leftover:
            return True
        return self._guarded(self._wait, seconds)

    def interrupt(self) -> None:
        """Wake whoever waits, by ending the connection in both directions."""
        self._interrupted = True
        with self._lock, suppress(OSError):  # closed, or gone already
            self._socket.shutdown(socket.SHUT_RDWR)

    def detach(self) -> int:
        """Give away the descriptor; this object is of no use from then on."""
        return self._socket.detach()

    def close(self) -> None:
        """Close the socket."""
        with self._lock:
            self._socket.close()

    def _wait(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def _guarded(self, call: Callable[[T], R], argument: T) -> R:
        try:
            result = call(argument)
        except BlockingIOError:  # only of a socket without a time limit, whose owner waits
            raise
        except TimeoutError:
            raise WireError(f"Nothing has moved for {self._idle / 60:.0f} minutes.") from None
        except OSError as error:
            if self._interrupted:
                raise WireError("The transfer was interrupted.") from None
            raise WireError(f"The connection broke: {error.strerror or error}.") from None
        if self._interrupted:
            raise WireError("The transfer was interrupted.")
        return result


def keep_alive(connected: socket.socket) -> None:
    """Have the operating system notice that the other host is gone, and gateways remember us."""
    if connected.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", KEEPALIVE),
        ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
        ("TCP_KEEPCNT", KEEPALIVE_TRIES),
    ):
        if hasattr(socket, option):  # macOS before Python 3.13 has no TCP_KEEPIDLE
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
