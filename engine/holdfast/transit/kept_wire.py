"""A wire over a connection that a keeper holds: it can be left as it is, for another process."""

import select
import socket
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from holdfast.transit.errors import WireError
from holdfast.transit.positions import Position, position_of, queued
from holdfast.transit.wire import IDLE, SocketWire

TICK: Final = 0.2
"""Seconds after which a call that waits sees that the wire is to be left."""

HOLDS: Final = 1024 * 1024
"""Bytes that the system is to hold unread.

Linux keeps what came in pieces of up to half a megabyte, and has a piece in memory until the last
byte of it is taken. With less room, the beginning of a record at the end of a piece fills it all:
its other half could not come (measured)."""

STUCK: Final = 1.0
"""Seconds after which the system, which says that there is enough, will not hold more."""


class KeptWire(SocketWire):
    """A `SocketWire` whose bytes may be looked at before they are taken.

    Args:
        descriptor: as of `SocketWire`.
        begins: how far it was when its two streams began.
        forget: called if the connection can be kept no longer.
        idle: as of `SocketWire`.
    """

    def __init__(
        self,
        descriptor: int,
        begins: Position,
        forget: Callable[[], object],
        *,
        idle: float = IDLE,
    ) -> None:
        super().__init__(descriptor, idle=idle)
        self._socket.settimeout(0)
        self._begins = begins
        self._forget = forget
        self._left = False
        self.is_kept = True
        self._wake_at(HOLDS)  # the system makes room for that, and does not take it back
        self._wake_at(1)

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Send all of `data`."""
        rest = memoryview(data)
        while rest:
            self._wait_for(select.POLLOUT)
            with suppress(BlockingIOError):
                rest = rest[self._guarded(self._socket.send, rest) :]

    def receive_into(self, buffer: memoryview) -> int:
        """Wait for bytes and put them at the start of `buffer`."""
        self._wait_for(select.POLLIN)
        return self._guarded(self._socket.recv_into, buffer)

    def readable(self, seconds: float) -> bool:
        """Whether there is something to receive, or the end, within `seconds`."""
        until = time.monotonic() + seconds
        while not self._ready(select.POLLIN, min(TICK, max(0.0, until - time.monotonic()))):
            if time.monotonic() >= until:
                return False
        return True

    def look_into(self, buffer: memoryview, least: int) -> int:
        """Put what waits at the start of `buffer`, and leave it in the socket.

        It waits until there are `least` bytes.

        Returns:
            How many there are; fewer than `least` only if the system will not hold more.

        Raises:
            WireError: as `receive_into`, and also if the other side ends before.
        """
        count = self._look(buffer)
        if count >= least:
            return count
        # Or else a record that comes in pieces would be looked at again and again.
        self._wake_at(least)
        try:
            return self._look_until(buffer, least)
        finally:
            self._wake_at(1)

    def skip(self, length: int, scratch: memoryview) -> None:
        """Take `length` bytes that were looked at, and throw them away; `scratch` stays as it is.

        `scratch` is at least as long.
        """
        while length:
            with suppress(BlockingIOError):
                length -= self._guarded(
                    lambda left: self._socket.recv_into(scratch, left, socket.MSG_TRUNC), length
                )

    def waiting(self) -> int:
        """How many bytes are in the socket."""
        return queued(self._socket, termios.FIONREAD)

    def position(self) -> Position:
        """How far the two streams are, from where they begin.

        Raises:
            WireError: this is not known.
        """
        now = position_of(self._socket)
        if now is None:
            raise WireError("It is not known how far the connection is.")
        return now.since(self._begins)

    @property
    def has_ended(self) -> bool:
        """Whether the other side has closed the connection."""
        poll = select.poll()
        poll.register(self._socket, select.POLLRDHUP)
        return bool(poll.poll(0))

    def forget(self) -> None:
        """It can be kept no longer: if this process dies, the connection ends."""
        if self.is_kept:
            self.is_kept = False
            self._forget()

    def leave(self) -> None:
        """From any thread: let every call raise WireError soon, and the connection go on."""
        if self.is_kept:
            self._left = True
        else:
            self.interrupt()

    def close(self) -> None:
        """Let go of the socket; end the connection if it was not left."""
        if not self._left:
            with self._lock, suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        super().close()

    def _look_until(self, buffer: memoryview, least: int) -> int:
        count, grew_at = 0, time.monotonic()
        while True:
            events = self._wait_for(select.POLLIN | select.POLLRDHUP)
            before, count = count, self._look(buffer)
            if count >= least:
                return count
            if events & (select.POLLRDHUP | select.POLLHUP | select.POLLERR):
                raise WireError("The other side closed the connection.")
            if count > before:
                grew_at = time.monotonic()
            elif time.monotonic() >= grew_at + STUCK:
                return count
            time.sleep(0.001)

    def _wake_at(self, least: int) -> None:
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, least)

    def _look(self, buffer: memoryview) -> int:
        try:
            return self._guarded(
                lambda there: self._socket.recv_into(there, len(there), socket.MSG_PEEK), buffer
            )
        except BlockingIOError:
            return 0

    def _wait_for(self, events: int) -> int:
        until = time.monotonic() + self._idle
        while time.monotonic() < until:
            found = self._ready(events, TICK)
            if found:
                return found
        raise WireError(f"Nothing has moved for {self._idle / 60:.0f} minutes.")

    def _ready(self, events: int, seconds: float) -> int:
        poll = select.poll()
        poll.register(self._socket, events)
        ready = self._guarded(poll.poll, seconds * 1000)
        if self._left:
            raise WireError("The transfer was interrupted.")
        return ready[0][1] if ready else 0
