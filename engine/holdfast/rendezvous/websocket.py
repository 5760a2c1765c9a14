"""A WebSocket as a Twisted protocol, around the `websockets` package's protocol without I/O.

Framing, masking and the rules of RFC 6455 are that package's; here are the stages of a connection's
life, and the promise that whatever a server sends ends in `Listener.closed` and never in an
exception. `messages` makes messages of frames, `pulse` says when to ping, `outgoing` writes.

A socket is slim, since thousands of them wait at once: slots, a shared timer for its heartbeats
and no trace of its handshake. While the journal cannot keep what comes, it keeps the first of that
itself and reads no more (see `holdfast.rendezvous.intake`).
"""

import logging
from collections.abc import Callable, Sequence
from enum import Enum, auto
from functools import partial
from typing import Final

from attrs import define, field
from twisted.internet.interfaces import IProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import CloseCode, Frame
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.uri import WebSocketURI
from zope.interface import implementer  # type: ignore[import-untyped]

from holdfast.rendezvous import reasons
from holdfast.rendezvous.boundaries import (
    Attempt,
    ConnectionEnded,
    Listener,
    Timer,
    Transport,
)
from holdfast.rendezvous.heartbeat import Heartbeat
from holdfast.rendezvous.intake import Intake
from holdfast.rendezvous.messages import Messages
from holdfast.rendezvous.outgoing import Outgoing
from holdfast.rendezvous.pulse import PING_INTERVAL, SILENCE, Pulse

LARGEST_MESSAGE: Final = 32 * 1024 * 1024
"""Bytes of the largest message that is accepted from a server."""

CLOSE_TIMEOUT: Final = 5.0
"""Seconds that a server has to answer a close frame and to hang up."""

__all__ = [
    "CLOSE_TIMEOUT",
    "LARGEST_MESSAGE",
    "PING_INTERVAL",
    "SILENCE",
    "ConnectionEnded",
    "Listener",
    "WebSocket",
]

log = Logger()

# If an application sets everything to DEBUG, the package logs whole frames, which no log may hold.
# It also logs its own surprises as errors, which we report as the reason for the end.
_silent = logging.getLogger(__name__)
_silent.setLevel(logging.CRITICAL + 1)


class SocketStage(Enum):
    """How far a socket has come in its life."""

    DIALLING = auto()  # no transport yet
    SHAKING = auto()  # connected; the handshake is under way
    OPEN = auto()
    CLOSING = auto()  # no more messages, either way
    CLOSED = auto()


@implementer(IProtocol)
@define(eq=False, weakref_slot=False)
class WebSocket:
    """One connection to a mailbox server, from the dialling to its end.

    `holdfast.rendezvous.dialer.Dialer` makes them.
    """

    _uri: WebSocketURI = field(repr=False)
    _listener: Listener | None = field(repr=False)
    _heartbeat: Heartbeat = field(repr=False)
    _intake: Intake = field(repr=False)
    _attempt: Attempt | None = field(default=None, init=False, repr=False)
    _stage: SocketStage = field(default=SocketStage.DIALLING, init=False)
    _out: Outgoing | None = field(default=None, init=False, repr=False)
    _protocol: ClientProtocol | None = field(default=None, init=False, repr=False)
    _messages: Messages = field(factory=Messages, init=False, repr=False)
    _pulse: Pulse = field(factory=Pulse, init=False, repr=False)
    # Why it ends, as soon as that is known; the first reason stays.
    _reason: str | None = field(default=None, init=False)
    _deadline: Timer | None = field(default=None, init=False, repr=False)

    # What the owner does.

    @property
    def is_open(self) -> bool:
        """Whether what is sent now goes out."""
        return self._stage is SocketStage.OPEN

    @property
    def is_paused(self) -> bool:
        """Whether what the server said waits for the journal, or would if it said something now."""
        return self._messages.waiting is not None or self._intake.paused

    def send(self, text: str) -> None:
        """Send one message.

        Does nothing once the connection is closing or closed: the sender learns of that from
        `Listener.closed`, and what was sent shortly before is lost as well. Raises RuntimeError
        before the connection is open.
        """
        if self._stage in (SocketStage.DIALLING, SocketStage.SHAKING):
            raise RuntimeError("nothing can be sent before the connection is open")
        protocol = self._protocol
        # The server may have said good-bye in the very bytes that we are just passing on.
        if self._stage is SocketStage.OPEN and protocol is not None and protocol.state is OPEN:
            protocol.send_text(text.encode())
            self._flush(protocol)

    def close(self) -> None:
        """Say good-bye and hang up; `Listener.closed` follows within `CLOSE_TIMEOUT`.

        A connection that is not open yet is aborted.
        """
        if self._stage is SocketStage.OPEN and self._protocol is not None:
            self._reason = "we closed the connection"
            if self._protocol.state is OPEN:
                self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush(self._protocol)
            self._begin_closing()
        elif self._stage in (SocketStage.DIALLING, SocketStage.SHAKING):
            self.abort("we closed the connection before it was open")

    def abort(
        self, reason: str = "we dropped the connection", cause: BaseException | None = None
    ) -> None:
        """Hang up without a word; `Listener.closed` follows in the next turn of the reactor."""
        if self._stage is SocketStage.CLOSED:
            return
        if self._reason is None:
            self._reason = reason
        if self._out is None:
            self._never_connected(cause)
        else:
            self._stage = SocketStage.CLOSING
            self._finish_attempt()
            self._out.transport.abortConnection()

    # What the dialer does.

    def dialled_by(self, attempt: Attempt) -> None:
        """Remember `attempt`, which is told when the handshake is over."""
        self._attempt = attempt

    def fail(self, reason: str, cause: BaseException | None = None) -> None:
        """End this connection for `reason`: without a word, or politely if it was open."""
        if self._stage in (SocketStage.CLOSING, SocketStage.CLOSED):
            return
        if self._stage is not SocketStage.OPEN:
            self.abort(reason, cause)
        else:
            self._reason = reason
            self._begin_closing()
            self._hang_up()

    # What the transport does: IProtocol.

    def makeConnection(self, transport: Transport) -> None:
        """The transport is there: ask for a WebSocket."""
        if self._stage is not SocketStage.DIALLING:
            # It was given up in the very turn in which the transport came.
            transport.abortConnection()
            return
        self._out, self._stage = Outgoing(transport), SocketStage.SHAKING
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
        self._pulse.heard_at = self._heartbeat.clock.seconds()
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
        protocol, shaking = self._protocol, self._stage is SocketStage.SHAKING
        if shaking and protocol is not None:
            # The answer may be complete only now, if its end is that of the connection.
            self._finish_handshake(protocol)
        if self._reason is None:
            self._reason = reasons.of_failure(reason)
            if shaking:
                self._reason += " during the handshake"
        self._end(
            reason.value,
            clean=protocol is not None
            and protocol.parser_exc is None
            and protocol.close_rcvd is not None
            and protocol.close_sent is not None,
        )

    # What the intake does.

    def go_on(self) -> None:
        """Hand on what was kept, then read on."""
        waiting = self._messages.waiting
        if waiting is not None:
            self._hand_on(waiting)
            self._read_on()

    # Time.

    def beat(self, now: float, *, overslept: bool) -> float | None:
        """Ping, or give up on a server that is silent (see `heartbeat.Beats`)."""
        if self._stage is not SocketStage.OPEN or self._protocol is None or self._out is None:
            return None
        if overslept:
            self._pulse.overslept(now)
        if self._messages.waiting is not None:
            # We do not listen, so its silence proves nothing. It gets our pings: the stock server
            # gives up no client that sends something.
            self._pulse.heard_at = now
        if self._pulse.is_dead(now):
            self.abort(f"the server was silent for {SILENCE:.0f} seconds")
            return None
        if self._pulse.pings(now):
            self._out.ping(self._protocol)
        return self._pulse.due_at

    # Inside.

    def _now(self) -> float:
        return self._heartbeat.clock.seconds()

    def _shaken(self, protocol: ClientProtocol, response: Response) -> None:
        """The server answered our request for a WebSocket."""
        if self._stage is not SocketStage.SHAKING or protocol.handshake_exc is not None:
            return
        # The protocol keeps the answer as long as it lives; what the headers said is done with.
        response.headers.clear()
        self._stage = SocketStage.OPEN
        self._finish_attempt()
        now = self._now()
        self._pulse.begin(now)
        self._heartbeat.add(now + PING_INTERVAL, self)
        if self._listener is not None:
            self._tell(self._listener.opened)

    def _hear(self, frame: Frame, texts: list[str]) -> None:
        """Add to `texts` the message that `frame` ends, if it ends one."""
        if self._stage is not SocketStage.OPEN:
            return
        try:
            text = self._messages.add(frame)
        except UnicodeDecodeError as problem:
            self._pass_on(texts)
            texts.clear()
            self._refuse(CloseCode.INVALID_DATA, reasons.of_parser(problem))
            return
        if text is not None:
            texts.append(text)

    def _pass_on(self, texts: list[str]) -> None:
        """Hand `texts` on, or keep them."""
        if not texts or self._stage is not SocketStage.OPEN:
            return
        if self.is_paused:
            self._keep(texts)
        else:
            self._hand_on(texts)

    def _hand_on(self, texts: Sequence[str]) -> None:
        listener = self._listener
        if listener is not None:
            self._tell(listener.received, texts)

    def _keep(self, texts: Sequence[str]) -> None:
        """Keep what cannot be handed on now; it is little, because nothing is read after it."""
        if self._messages.waiting is None:
            self._messages.waiting = []
            self._intake.keeps(self)
            if self._out is not None:
                self._out.transport.pauseProducing()
        self._messages.waiting.extend(texts)

    def _read_on(self) -> None:
        """Keep nothing any more."""
        if self._messages.waiting is not None:
            self._messages.waiting = None
            self._intake.forget(self)
            self._pulse.heard_at = self._now()
            if self._out is not None:
                self._out.transport.resumeProducing()

    def _look_for_the_end(self, protocol: ClientProtocol) -> None:
        """See whether what came just now has ended the connection."""
        if self._stage is SocketStage.CLOSING and protocol.parser_exc is not None:
            # We said good-bye, but what comes back is nonsense: do not wait for more.
            self._hang_up()
        elif protocol.handshake_exc is not None:
            self.fail(reasons.of_handshake(protocol.handshake_exc))
        elif protocol.parser_exc is not None:
            self.fail(reasons.of_parser(protocol.parser_exc))
        elif protocol.close_rcvd is not None and self._stage is SocketStage.OPEN:
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
        if self._out is not None:
            self._out.flush(protocol)

    def _begin_closing(self) -> None:
        self._stage = SocketStage.CLOSING
        self._messages.forget()
        self._read_on()
        self._finish_attempt()
        if self._deadline is None:
            self._deadline = self._heartbeat.clock.callLater(CLOSE_TIMEOUT, self._too_late)

    def _hang_up(self) -> None:
        if self._out is not None:
            self._out.hang_up()

    def _too_late(self) -> None:
        self._deadline = None
        self.abort()

    def _never_connected(self, cause: BaseException | None) -> None:
        """End without a transport: in the next turn, never inside the owner's own call."""
        if self._stage is SocketStage.CLOSING:
            return
        self._stage = SocketStage.CLOSING
        attempt = self._attempt
        if attempt is not None:
            attempt.cancel()
        self._finish_attempt()
        self._heartbeat.clock.callLater(0, partial(self._end, cause, clean=False))

    def _finish_attempt(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.finished()

    def _end(self, cause: BaseException | None, *, clean: bool) -> None:
        if self._stage is SocketStage.CLOSED:
            return
        self._stage = SocketStage.CLOSED
        self._finish_attempt()
        self._heartbeat.remove(self)
        self._intake.forget(self)
        if self._deadline is not None:
            self._deadline.cancel()
        listener, protocol = self._listener, self._protocol
        if protocol is not None and protocol.handshake_exc is not None:
            cause = protocol.handshake_exc
        ended = ConnectionEnded(self._reason or "unknown", clean, reasons.fault_of(protocol), cause)
        self._listener = self._out = self._protocol = self._deadline = None
        self._messages = Messages()
        if listener is not None:
            self._tell(listener.closed, ended)

    def _tell(self, call: Callable[..., None], *about: object) -> None:
        try:
            call(*about)
        except Exception:  # noqa: BLE001 - logged whole, and the connection is given up
            log.failure("What listens to a connection failed; the connection is dropped.")
            self.abort("an error of our own, which the log tells")
