"""What we write to a transport, and whether it holds more of that than it likes."""

from typing import Final

from twisted.internet.interfaces import IPushProducer
from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.protocol import OPEN
from zope.interface import implementer  # type: ignore[import-untyped]

from holdfast.rendezvous.boundaries import Transport

_PONG: Final = 0x80 | Opcode.PONG


@implementer(IPushProducer)
class Outgoing:
    """The transport of one connection."""

    # Thousands wait at once, and each of their objects counts.
    __slots__ = ("_choked", "transport")

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._choked = False
        # Frames are small and each waits for an answer: Nagle's delay only hurts.
        set_no_delay = getattr(transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)
        transport.registerProducer(self, True)  # noqa: FBT003 - Twisted's

    def flush(self, protocol: ClientProtocol) -> None:
        """Write what `protocol` has to say."""
        for data in protocol.data_to_send():
            # An empty string asks to close our half; hanging up is decided elsewhere. A server
            # that pings without ever reading must not fill our memory with pongs.
            if data and not (self._choked and data[0] == _PONG):
                self.transport.write(data)

    def ping(self, protocol: ClientProtocol) -> None:
        """Ping the server."""
        # If the transport's buffer is full, a ping or data is queued already.
        if not self._choked and protocol.state is OPEN:
            protocol.send_ping(b"")
            self.flush(protocol)

    def hang_up(self) -> None:
        """Write what is still to be written, and disconnect."""
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    # What the transport does: IPushProducer, to know how much it holds.

    def pauseProducing(self) -> None:
        """The transport holds enough of what we wrote."""
        self._choked = True

    def resumeProducing(self) -> None:
        """The transport has got rid of it."""
        self._choked = False

    def stopProducing(self) -> None:
        """The transport is going away; `connectionLost` says so, too."""
