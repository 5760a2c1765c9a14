"""The connection that two sides have chosen: bytes from and to the socket, frames, and their room.

It knows neither numbers nor channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final, Protocol

from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure

from holdfast.clock import Clock
from holdfast.dilation.alarm import Alarm
from holdfast.dilation.errors import ProtocolError
from holdfast.dilation.frames import Frames, frames, pieces
from holdfast.dilation.noise import Cipher

USUAL_READ: Final = 65_536
"""Bytes that one read of Twisted's brings at most."""

LONG: Final = 512 * 1024
"""Bytes of a record that is encrypted piece by piece, with turns of the reactor in between."""

AT_ONCE: Final = 512 * 1024
"""Bytes that the kernel is given at once, if it takes them: more than we ever write at once.

Twisted's own limit would leave a few bytes of it for another turn."""

MOST_PIECES: Final = 4
"""Noise messages of such a record that are written at once."""

PATIENCE: Final = 10.0
"""Seconds for which the last bytes wait for a peer that does not read."""


class LinkOwner(Protocol):
    """Is told what happens to a link."""

    def begun(self, link: Link) -> None:
        """It can be written to. Once, and first."""
        ...

    def got(self, link: Link, plaintexts: list[bytes], *, more: bool) -> None:
        """These records came, in this order; `more` if others follow at once."""
        ...

    def has_room(self, link: Link) -> None:
        """More may be written."""
        ...

    def is_lost(self, link: Link) -> None:
        """It is gone. Once, and last."""
        ...


class Link(TwistedProtocol):
    """One connection, from the moment when it was chosen to its end.

    Args:
        owner: is told what happens.
        clock: the time.
        ciphers: what encrypts our frames, and what decrypts theirs.
        describe: where it leads, in a few words.
    """

    transport: Any

    def __init__(
        self, owner: LinkOwner, clock: Clock, ciphers: tuple[Cipher, Cipher], describe: str
    ) -> None:
        self._owner = owner
        self._sending, self._receiving = ciphers
        self._frames = Frames(self._receiving)
        self.describe = describe
        self._read_size = USUAL_READ
        """Bytes that one read brings if there is more."""
        self._may_write = False
        self._pieces: Iterator[bytes] | None = None
        """The rest of a long record."""
        self.is_reading = True
        self.trouble = ""
        """What the other side did wrong, in a few words; empty if nothing."""
        self._is_lost = False
        self._patience = Alarm(clock, self.abort)

    def connectionMade(self) -> None:
        """Begin to write."""
        self._may_write = True
        self._read_size = getattr(self.transport, "bufferSize", USUAL_READ)
        if hasattr(self.transport, "SEND_LIMIT"):
            self.transport.SEND_LIMIT = AT_ONCE
        self.transport.registerProducer(self, streaming=True)
        self._owner.begun(self)

    def dataReceived(self, data: bytes) -> None:
        """Take the frames out of it."""
        if self.trouble:
            return
        try:
            plaintexts = self._frames.feed(data)
            if plaintexts:
                self._owner.got(self, plaintexts, more=len(data) >= self._read_size)
        except ProtocolError as error:
            self.fail(str(error))

    def connectionLost(self, reason: Failure | None = None) -> None:  # noqa: ARG002
        """It is over."""
        self._patience.clear()
        self._may_write = False
        if not self._is_lost:
            self._is_lost = True
            self._owner.is_lost(self)

    @property
    def heard(self) -> int:
        """How many messages have come; nobody but the other side can make one."""
        return self._receiving.count

    @property
    def room(self) -> bool:
        """Whether more may be written."""
        return self._may_write and self._pieces is None

    def send(self, plaintexts: Sequence[bytes]) -> None:
        """Encrypt and write these records, of which the last may be long."""
        sending, last = self._sending, plaintexts[-1]
        if len(last) > LONG:
            plaintexts = plaintexts[:-1]
        self.transport.write(frames(sending, plaintexts))
        if len(last) > LONG:
            self._pieces = pieces(sending, last)
            self._write_pieces()

    def _write_pieces(self) -> None:
        while self._may_write and self._pieces is not None:
            some = list(islice(self._pieces, MOST_PIECES))
            if len(some) < MOST_PIECES:
                self._pieces = None
            self.transport.writeSequence(some)

    def pause(self) -> None:
        """Read no more for a while."""
        if self.is_reading and not self._is_lost:
            self.is_reading = False
            self.transport.pauseProducing()

    def resume(self) -> None:
        """Read again."""
        if not self.is_reading and not self._is_lost:
            self.is_reading = True
            self.transport.resumeProducing()

    def fail(self, trouble: str) -> None:
        """The other side has broken the protocol."""
        self.trouble = trouble
        self.abort()

    def abort(self) -> None:
        """Close it at once: a connection that is closed politely waits for what is not sent."""
        if not self._is_lost:
            self._may_write = False
            self.transport.abortConnection()

    def close(self) -> None:
        """Close it when everything is sent, or after a while; what comes is not looked at."""
        if not self._is_lost:
            self._may_write = False
            self.trouble = "closed"
            self.transport.unregisterProducer()
            self.resume()
            self.transport.loseConnection()
            self._patience.set(PATIENCE)

    # What Twisted asks of who writes.

    def pauseProducing(self) -> None:
        """Write no more for a while."""
        self._may_write = False

    def resumeProducing(self) -> None:
        """Write more."""
        if not self._is_lost:
            self._may_write = True
            self._write_pieces()
            if self.room:
                self._owner.has_room(self)

    def stopProducing(self) -> None:
        """Write no more."""
        self._may_write = False
