"""A WebSocket as a Twisted protocol, around the `websockets` package's protocol without I/O.

Framing, masking and the rules of RFC 6455 are that package's; here are the transport, the time
limits, and the promise that whatever a server sends ends in `Listener.closed` and never in an
exception.

A socket is slim, since thousands of them wait at once: slots, a shared timer for its heartbeats
and no trace of its handshake. While the journal cannot keep what comes, it keeps the first of that
itself and reads no more (see `holdfast.rendezvous.intake`).
"""

import logging
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Final

from attrs import define, field
from twisted.internet.interfaces import IProtocol, IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.uri import WebSocketURI
from zope.interface import implementer  # type: ignore[import-untyped]

from holdfast.rendezvous import reasons
from holdfast.rendezvous.boundaries import (
    Attempt,
    ConnectionEnded,
    Fault,
    Listener,
    Timer,
    Transport,
)
from holdfast.rendezvous.heartbeat import Heartbeat
from holdfast.rendezvous.intake import Intake

LARGEST_MESSAGE: Final = 32 * 1024 * 1024
"""Bytes of the largest message that is accepted from a server."""

PING_INTERVAL: Final = 30.0
"""Seconds between our pings."""

SILENCE: Final = 75.0
"""Seconds without a single byte after which a connection is dead: two pings unanswered."""

CLOSING_TIME: Final = 5.0
"""Seconds that a server has to answer a close frame and to hang up."""

_PONG: Final = 0x80 | Opcode.PONG
_DATA: Final = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)

__all__ = [
    "CLOSING_TIME",
    "LARGEST_MESSAGE",
    "PING_INTERVAL",
    "SILENCE",
    "ConnectionEnded",
    "Listener",
    "WebSocket",
]

log = Logger()

# The package logs whole frames when somebody sets everything to DEBUG, and its own surprises as
# errors; the latter come back as the reason of an end, and the former are nobody's business.
_silent = logging.getLogger(__name__)
_silent.setLevel(logging.CRITICAL + 1)


class Stage(Enum):
    """How far a socket has come in its life."""

    DIALLING = auto()  # no transport yet
    SHAKING = auto()  # connected; the handshake is under way
    OPEN = auto()
    CLOSING = auto()  # no more messages, either way
    CLOSED = auto()


@implementer(IProtocol, IPushProducer)
@define(eq=False)
class WebSocket:
    """One connection to a mailbox server, from the dialling to its end.

    `holdfast.rendezvous.dialer.Dialer` makes them.
    """

    _uri: WebSocketURI = field(repr=False)
    _listener: Listener | None = field(repr=False)
    _heart: Heartbeat = field(repr=False)
    _intake: Intake = field(repr=False)
    _attempt: Attempt | None = field(default=None, init=False, repr=False)
    _stage: Stage = field(default=Stage.DIALLING, init=False)
    _transport: Transport | None = field(default=None, init=False, repr=False)
    _protocol: ClientProtocol | None = field(default=None, init=False, repr=False)
    # The pieces of a message that comes in several frames.
    _pieces: bytearray | None = field(default=None, init=False, repr=False)
    # Whole messages that came while the intake was paused; while there are any, nothing is read.
    _kept: list[str] | None = field(default=None, init=False, repr=False)
    # Why it ends, as soon as that is settled; the first reason stays.
    _reason: str | None = field(default=None, init=False)
    _deadline: Timer | None = field(default=None, init=False, repr=False)
    # Whether the transport holds more than it likes of what we wrote.
    _choked: bool = field(default=False, init=False)
    _heard_at: float = field(default=0.0, init=False)
    _ping_at: float = field(default=0.0, init=False)

    # What the owner does.

    @property
    def is_open(self) -> bool:
        """Whether what is sent now goes out."""
        return self._stage is Stage.OPEN

    @property
    def is_paused(self) -> bool:
        """Whether what the server said waits for the journal, or would if it said something now."""
        return self._kept is not None or self._intake.paused

    def send(self, text: str) -> None:
        """Send one message.

        Does nothing once the connection is closing or closed: whoever sends learns of that from
        `Listener.closed`, and what was sent shortly before is just as lost. Raises
        RuntimeError before the connection is open.
        """
        if self._stage in (Stage.DIALLING, Stage.SHAKING):
            raise RuntimeError("nothing can be sent before the connection is open")
        protocol = self._protocol
        # The server may have said good-bye in the very bytes that we are just passing on.
        if self._stage is Stage.OPEN and protocol is not None and protocol.state is OPEN:
            protocol.send_text(text.encode())
            self._flush(protocol)

    def close(self) -> None:
        """Say good-bye and hang up; `Listener.closed` follows within `CLOSING_TIME`.

        A connection that is not open yet is aborted.
        """
        if self._stage is Stage.OPEN and self._protocol is not None:
            self._reason = "we closed the connection"
            if self._protocol.state is OPEN:
                self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush(self._protocol)
            self._begin_closing()
        elif self._stage in (Stage.DIALLING, Stage.SHAKING):
            self.abort("we closed the connection before it was open")

    def abort(
        self, reason: str = "we dropped the connection", cause: BaseException | None = None
    ) -> None:
        """Hang up without a word; `Listener.closed` follows in the next turn of the reactor."""
        if self._stage is Stage.CLOSED:
            return
        if self._reason is None:
            self._reason = reason
        if self._transport is None:
            self._never_connected(cause)
        else:
            self._stage = Stage.CLOSING
            self._settle()
            self._transport.abortConnection()

    # What the dialer does.

    def dialled_by(self, attempt: Attempt) -> None:
        """Remember who is to be told when the handshake is over."""
        self._attempt = attempt

    def fail(self, reason: str, cause: BaseException | None = None) -> None:
        """End this connection for `reason`: without a word, or politely if it was open."""
        if self._stage in (Stage.CLOSING, Stage.CLOSED):
            return
        if self._stage is not Stage.OPEN:
            self.abort(reason, cause)
        else:
            self._reason = reason
            self._begin_closing()
            self._hang_up()

    # What the transport does: IProtocol.

    def makeConnection(self, transport: Transport) -> None:
        """The transport is there: ask for a WebSocket."""
        if self._stage is not Stage.DIALLING:
            # Given up in the very turn in which it came.
            transport.abortConnection()
            return
        self._transport, self._stage = transport, Stage.SHAKING
        # Frames are small and each waits for an answer: Nagle's delay only hurts.
        set_no_delay = getattr(transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)
        transport.registerProducer(self, True)
        self._protocol = ClientProtocol(self._uri, max_size=LARGEST_MESSAGE, logger=_silent)
        self._protocol.send_request(self._protocol.connect())
        self._flush(self._protocol)

    def connectionMade(self) -> None:
        """Part of the interface; `makeConnection` has done everything."""

    def logPrefix(self) -> str:  # noqa: N802
        """How Twisted names this connection in its log."""
        return "holdfast"

    def dataReceived(self, data: bytes) -> None:
        """Bytes from the server: no matter which, no exception."""
        protocol = self._protocol
        if protocol is None:
            return
        self._heard_at = self._heart.clock.seconds()
        try:
            protocol.receive_data(data)
        except Exception as problem:  # noqa: BLE001 - a server must not reach the reactor
            self.fail(reasons.of_parser(problem))
            return
        self._flush(protocol)
        texts: list[str] = []
        for event in protocol.events_received():
            if isinstance(event, Frame):
                self._hear(event, texts)
            elif isinstance(event, Response):
                self._shaken(protocol, event)
        self._pass_on(texts)
        self._look_for_the_end(protocol)

    def connectionLost(self, reason: Failure) -> None:
        """The transport is gone."""
        protocol, shaking = self._protocol, self._stage is Stage.SHAKING
        if shaking and protocol is not None:
            # The answer may be complete only now, if its end is that of the connection.
            self._finish_handshake(protocol)
        if self._reason is None:
            self._reason = reasons.of_failure(reason)
            if shaking:
                self._reason += " during the handshake"
        self._end(
            protocol is not None
            and protocol.parser_exc is None
            and protocol.close_rcvd is not None
            and protocol.close_sent is not None,
            reason.value,
        )

    # What the transport does: IPushProducer, to know how much it holds.

    def pauseProducing(self) -> None:
        """The transport holds enough of what we wrote."""
        self._choked = True

    def resumeProducing(self) -> None:
        """The transport has got rid of it."""
        self._choked = False

    def stopProducing(self) -> None:
        """The transport is going away; `connectionLost` says so, too."""

    # What the intake does.

    def go_on(self) -> None:
        """Hand on what was kept, then read on."""
        if self._kept is not None:
            self._hand_on(self._kept)
            self._read_on()

    # Time.

    def beat(self, now: float, overslept: bool) -> float | None:
        """Ping, or give up on a server that is silent (see `heartbeat.Patient`)."""
        if self._stage is not Stage.OPEN or self._protocol is None:
            return None
        if overslept:
            # What came meanwhile is read after this: let the server answer one ping.
            self._heard_at = max(self._heard_at, now - PING_INTERVAL)
            self._ping_at = now
        if self._kept is not None:
            # We do not listen, so that its silence proves nothing.  It gets our pings: the stock
            # server gives nobody up from whom something comes.
            self._heard_at = now
        if now >= self._heard_at + SILENCE:
            self.abort(f"the server was silent for {SILENCE:.0f} seconds")
            return None
        if now >= self._ping_at:
            self._ping_at = now + PING_INTERVAL
            # A full transport has our ping in it, or something better.
            if not self._choked and self._protocol.state is OPEN:
                self._protocol.send_ping(b"")
                self._flush(self._protocol)
        return min(self._ping_at, self._heard_at + SILENCE)

    # Inside.

    def _shaken(self, protocol: ClientProtocol, response: Response) -> None:
        """The server answered our request for a WebSocket."""
        if self._stage is not Stage.SHAKING or protocol.handshake_exc is not None:
            return
        # The protocol keeps the answer as long as it lives; what the headers said is done with.
        response.headers.clear()
        self._stage = Stage.OPEN
        self._settle()
        now = self._heart.clock.seconds()
        self._ping_at = now + PING_INTERVAL
        self._heart.add(self._ping_at, self)
        if self._listener is not None:
            self._tell(self._listener.opened)

    def _hear(self, frame: Frame, texts: list[str]) -> None:
        """Add to `texts` the message that `frame` ends, if it ends one."""
        if self._stage is not Stage.OPEN or frame.opcode not in _DATA:
            return
        whole = self._assemble(frame)
        if whole is None:
            return
        try:
            texts.append(whole.decode())
        except UnicodeDecodeError as problem:
            self._pass_on(texts)
            texts.clear()
            self._refuse(CloseCode.INVALID_DATA, reasons.of_parser(problem))

    def _pass_on(self, texts: list[str]) -> None:
        """Hand `texts` on, or keep them."""
        if not texts or self._stage is not Stage.OPEN:
            return
        if self._kept is not None or self._intake.paused:
            self._keep(texts)
        else:
            self._hand_on(texts)

    def _hand_on(self, texts: Sequence[str]) -> None:
        listener = self._listener
        if listener is not None:
            self._tell(listener.received, texts)

    def _keep(self, texts: Sequence[str]) -> None:
        """Keep what cannot be handed on now; it is little, for nothing is read after it."""
        if self._kept is None:
            self._kept = []
            self._intake.keeps(self)
            if self._transport is not None:
                self._transport.pauseProducing()
        self._kept.extend(texts)

    def _read_on(self) -> None:
        """Keep nothing any more."""
        if self._kept is not None:
            self._kept = None
            self._intake.forget(self)
            self._heard_at = self._heart.clock.seconds()
            if self._transport is not None:
                self._transport.resumeProducing()

    def _assemble(self, frame: Frame) -> bytes | bytearray | None:
        """The whole message, if this frame ends one.

        The protocol below has checked the order and the sum of the pieces.
        """
        if frame.opcode is not Opcode.CONT:
            self._pieces = None
            if frame.fin:
                return bytes(frame.data)
            self._pieces = bytearray(frame.data)
            return None
        if self._pieces is None:
            return None
        self._pieces += frame.data
        if not frame.fin:
            return None
        whole, self._pieces = self._pieces, None
        return whole

    def _look_for_the_end(self, protocol: ClientProtocol) -> None:
        """Has what came just now ended the connection?"""
        if self._stage is Stage.CLOSING and protocol.parser_exc is not None:
            # We said good-bye, but what comes back is nonsense: do not wait for more.
            self._hang_up()
        elif protocol.handshake_exc is not None:
            self.fail(reasons.of_handshake(protocol.handshake_exc))
        elif protocol.parser_exc is not None:
            self.fail(reasons.of_parser(protocol.parser_exc))
        elif protocol.close_rcvd is not None and self._stage is Stage.OPEN:
            # RFC 6455, section 7.1.1: the server hangs up first; it has some seconds for it.
            self._reason = reasons.of_close(protocol.close_rcvd)
            self._begin_closing()

    def _refuse(self, code: CloseCode, reason: str) -> None:
        """End the connection for something that came over it, and say so to the server."""
        if self._protocol is not None and self._protocol.state is OPEN:
            self._protocol.send_close(code)
            self._flush(self._protocol)
        self.fail(reason)

    def _finish_handshake(self, protocol: ClientProtocol) -> None:
        try:
            protocol.receive_eof()
        except Exception as problem:  # noqa: BLE001 - a server must not reach the reactor
            self._reason = self._reason or reasons.of_handshake(problem)
        if self._reason is None and isinstance(protocol.handshake_exc, InvalidStatus):
            self._reason = reasons.of_handshake(protocol.handshake_exc)

    def _flush(self, protocol: ClientProtocol) -> None:
        for data in protocol.data_to_send():
            # An empty string asks to close our half; hanging up is decided elsewhere.  A server
            # that pings without ever reading must not fill our memory with pongs.
            if data and self._transport is not None:
                if self._choked and data[0] == _PONG:
                    continue
                self._transport.write(data)

    def _begin_closing(self) -> None:
        self._stage = Stage.CLOSING
        self._pieces = None
        self._read_on()
        self._settle()
        if self._deadline is None:
            self._deadline = self._heart.clock.callLater(CLOSING_TIME, self._too_late)

    def _hang_up(self) -> None:
        """Write what is still to be written, and disconnect."""
        transport = self._transport
        if transport is not None:
            transport.unregisterProducer()
            transport.loseConnection()

    def _too_late(self) -> None:
        self._deadline = None
        self.abort()

    def _never_connected(self, cause: BaseException | None) -> None:
        """End without a transport: in the next turn, never inside the owner's own call."""
        if self._stage is Stage.CLOSING:
            return
        self._stage = Stage.CLOSING
        attempt = self._attempt
        if attempt is not None:
            attempt.cancel()
        self._settle()
        self._heart.clock.callLater(0, self._end, False, cause)

    def _settle(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.settled()

    def _end(self, clean: bool, cause: BaseException | None) -> None:
        if self._stage is Stage.CLOSED:
            return
        self._stage = Stage.CLOSED
        self._settle()
        self._heart.remove(self)
        self._intake.forget(self)
        if self._deadline is not None:
            self._deadline.cancel()
        listener, protocol = self._listener, self._protocol
        if protocol is not None and protocol.handshake_exc is not None:
            cause = protocol.handshake_exc
        ended = ConnectionEnded(self._reason or "unknown", clean, _fault(protocol), cause)
        self._listener = self._transport = self._protocol = self._pieces = self._deadline = None
        self._kept = None
        if listener is not None:
            self._tell(listener.closed, ended)

    def _tell(self, call: Callable[..., None], *about: object) -> None:
        try:
            call(*about)
        except Exception:  # noqa: BLE001 - logged whole, and the connection is given up
            log.failure("What listens to a connection failed; the connection is dropped.")
            self.abort("an error of our own, which the log tells")


def _fault(protocol: ClientProtocol | None) -> Fault | None:
    """What was wrong with a message that passed over an open connection, if that ended it."""
    if protocol is None or protocol.handshake_exc is not None:
        return None
    said, heard = protocol.close_sent, protocol.close_rcvd
    if protocol.parser_exc is not None or (said and said.code == CloseCode.INVALID_DATA):
        return Fault.UNACCEPTABLE
    if heard is not None and heard.code == CloseCode.MESSAGE_TOO_BIG:
        return Fault.TOO_LONG_FOR_THEM
    return None
