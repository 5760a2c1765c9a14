"""The connection that two sides have chosen: bytes from and to the socket, frames, and their room.

It knows neither numbers nor channels.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure

from holdfast.dilation.errors import ProtocolError
from holdfast.dilation.frames import Frames, frame
from holdfast.dilation.noise import Cipher


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
        ciphers: what encrypts our frames, and what decrypts theirs.
        describe: where it leads, in a few words.
    """

    transport: Any

    def __init__(self, owner: LinkOwner, ciphers: tuple[Cipher, Cipher], describe: str) -> None:
        self._owner = owner
        self._sending, receiving = ciphers
        self._frames = Frames(receiving)
        self.describe = describe
        self.room = False
        """Whether more may be written."""
        self.is_reading = True
        self.was_heard = True
        """Whether anything has come since somebody set it to False."""
        self.trouble = ""
        """What the other side did wrong, in a few words; empty if nothing."""
        self._is_lost = False

    def connectionMade(self) -> None:
        """Begin to write."""
        self.room = True
        self.transport.registerProducer(self, streaming=True)
        self._owner.begun(self)

    def dataReceived(self, data: bytes) -> None:
        """Take the frames out of it."""
        self.was_heard = True
        if self.trouble:
            return
        try:
            plaintexts = self._frames.feed(data)
            if plaintexts:
                self._owner.got(self, plaintexts, more=len(data) >= self.transport.bufferSize)
        except ProtocolError as error:
            self.fail(str(error))

    def connectionLost(self, reason: Failure | None = None) -> None:  # noqa: ARG002
        """It is over."""
        self.room = False
        if not self._is_lost:
            self._is_lost = True
            self._owner.is_lost(self)

    def send(self, plaintexts: Iterable[bytes]) -> None:
        """Encrypt and write these records."""
        sending = self._sending
        self.transport.writeSequence([frame(sending, each) for each in plaintexts])

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
            self.room = False
            self.transport.abortConnection()

    def close(self) -> None:
        """Close it when everything is sent; nothing more that comes is looked at."""
        if not self._is_lost:
            self.room = False
            self.trouble = "closed"
            self.transport.unregisterProducer()
            self.resume()
            self.transport.loseConnection()

    # What Twisted asks of who writes.

    def pauseProducing(self) -> None:
        """Write no more for a while."""
        self.room = False

    def resumeProducing(self) -> None:
        """Write more."""
        if not self._is_lost:
            self.room = True
            self._owner.has_room(self)

    def stopProducing(self) -> None:
        """Write no more."""
        self.room = False
