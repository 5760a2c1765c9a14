"""The wormhole that applications hold: a shell around the core's `Exchange`.

The shell alone touches the world.  It draws the randomness, enters the journal around each event,
calls the delegate, asks `wanted` what to say, and queues that behind the journal's commit.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from weakref import WeakValueDictionary

from twisted.logger import Logger
from twisted.python.failure import Failure

from holdfast import errors
from holdfast.codes import validate
from holdfast.core import checkpoint, describe
from holdfast.core import events as ev
from holdfast.core import notices as out
from holdfast.core.codec import code_of, to_json
from holdfast.core.exchange import Exchange
from holdfast.core.frames import Frame
from holdfast.core.wanted import Said, wanted
from holdfast.crypto import derive
from holdfast.rendezvous.boundaries import ConnectionEnded
from holdfast.rendezvous.connector import Connector
from holdfast.rendezvous.websocket import WebSocket
from holdfast.rendezvous.wire import Malformed, Pong, read, write
from holdfast.status import Connected, Disconnected, Status, Unreachable
from holdfast_journal import History, IJournal

LONGEST_MESSAGE = 8 * 1024 * 1024
"""Bytes of the longest message that may be sent; the server stores it twice as long."""

_log = Logger()
_alive: WeakValueDictionary[str, DelegatedWormhole] = WeakValueDictionary()


class Conversation:
    """What passes over one connection, from its beginning to its end."""

    def __init__(self, link: WebSocket) -> None:
        self._link = link
        self._open = True
        self.welcomed = False
        self.said = Said()

    def send(self, frames: tuple[Frame, ...]) -> None:
        """Send, unless the connection is gone: then the next one will derive them again."""
        for frame in frames:
            if self._open:
                self._link.send(write(frame, os.urandom(2).hex()))

    def drop(self) -> None:
        """Nothing will come of this connection."""
        if self._open:
            self._link.abort("the server sent something else than a welcome")

    def end(self) -> None:
        """Nothing can be sent any more."""
        self._open = False


class MakesConnector(Protocol):
    """How a wormhole gets its connector; `Dialer`-backed in real life, anything in a test."""

    def __call__(self, url: str, wormhole: DelegatedWormhole) -> Connector:
        """Make one for *url* that tells *wormhole*."""
        ...


class DelegatedWormhole:
    """A wormhole that tells a delegate what happens.

    Made by `holdfast.create` or `holdfast.from_serialized`.  Every method may be called from
    inside every method of the delegate; what it does is then part of the same journal entry.

    The delegate's methods, each of which it may leave out, in the order in which they come:
    `wormhole_got_welcome(dict)`, `wormhole_got_code(str)`, `wormhole_got_unverified_key(bytes)`,
    `wormhole_got_verifier(bytes)`, `wormhole_got_versions(dict)`, `wormhole_got_message(bytes)`
    for each message, and `wormhole_closed(result)`, once: the string "happy", or an exception.
    """

    def __init__(
        self,
        relay_url: str,
        exchange: Exchange,
        delegate: object,
        journal: IJournal,
        connector: MakesConnector,
        *,
        pending: out.Notices = (),
        on_status_update: Callable[[Status], object] | None = None,
        on_broken: Callable[[Failure], object] | None = None,
        entropy: Callable[[], bytes] = lambda: os.urandom(32),
    ) -> None:
        if exchange.side in _alive:
            raise errors.AlreadyResumed
        _alive[exchange.side] = self
        self._relay_url = relay_url
        self._exchange = exchange
        self._delegate = delegate
        self._journal = journal
        self._history: History | None = journal if hasattr(journal, "record") else None  # type: ignore[assignment]
        self._entropy = entropy
        self._on_status_update = on_status_update
        self._on_broken = on_broken
        self._pending: deque[out.Notice] = deque(pending)
        self._heard: list[tuple[ev.Event, bytes]] = []
        self._draining = False
        self._over = False
        self._conversation: Conversation | None = None
        self._connector = connector(relay_url, self)

    def start(self) -> None:
        """Begin, or go on: tell the delegate what it was not told, and connect."""
        if self._pending:
            try:
                with self._journal.process():
                    self._drain()
            except Exception:
                self.abandon()
                raise
        if not self._exchange.ended and not self._over:
            self._connector.start()

    def abandon(self) -> None:
        """Let go of the connection and stay silent; the checkpoint is all that is left."""
        self._over = True
        if self._conversation is not None:
            self._conversation.end()
        if _alive.get(self._exchange.side) is self:
            del _alive[self._exchange.side]
        self._connector.stop()

    # What applications call.

    def allocate_code(self, length: int = 2, *, code_length: int | None = None) -> None:
        """Ask the mailbox server for a nameplate, and make a code of *length* random words.

        Args:
            length: how many words, 1 to 100; *code_length* is a synonym.

        Raises:
            OnlyOneCodeError: this wormhole has a code, or has asked for one.
        """
        words = length if code_length is None else code_length
        if type(words) is not int:
            raise TypeError("length is a number of words")
        if not 1 <= words <= 100:
            raise ValueError("a code has 1 to 100 words")
        self._only_one_code()
        self._happen(ev.AllocateCode(words))

    def set_code(self, code: str) -> None:
        """Use the code that the other side has too.

        Raises:
            KeyFormatError: it is malformed; the wormhole may still be given another.
            OnlyOneCodeError: this wormhole has a code, or has asked for one.
        """
        if not isinstance(code, str):
            raise TypeError("a code is text")
        code = validate(code)
        self._only_one_code()
        self._happen(ev.SetCode(code))

    def _only_one_code(self) -> None:
        if self._exchange.code.state != "unset":
            raise errors.OnlyOneCodeError

    def send_message(self, message: bytes) -> None:
        """Send *message* to the peer, now or once it is there; never before it has proved itself.

        A message that is sent after the wormhole has begun to close goes nowhere.

        Raises:
            ValueError: it is longer than 8 MiB.
        """
        if not isinstance(message, bytes):
            raise TypeError("a message is bytes")
        if len(message) > LONGEST_MESSAGE:
            raise ValueError(f"a message has at most {LONGEST_MESSAGE} bytes, not {len(message)}")
        self._happen(ev.SendMessage(message))

    def derive_key(self, purpose: str, length: int = 32) -> bytes:
        """Return *length* bytes (1 to 8160) that only the two sides can derive for *purpose*.

        Raises:
            NoKeyError: there is no key yet.
        """
        if not isinstance(purpose, str):
            raise TypeError("a purpose is text")
        if type(length) is not int:
            raise TypeError("a length is a number of bytes")
        key = self._exchange.shared_key
        if key is None:
            raise errors.NoKeyError
        return derive(key, purpose, length)

    def close(self) -> None:
        """End the wormhole; everything sent so far still arrives.

        The delegate's `wormhole_closed` is called when nothing of ours is left on the server.
        Closing twice is closing once.
        """
        self._happen(ev.Close())

    def serialize(self) -> dict[str, Any]:
        """Return the wormhole as a JSON-able dictionary, for `holdfast.from_serialized`.

        It holds secrets.  What the delegate has been told is not told again after resuming; what
        it has not been told is.  The document must be resumed only once.
        """
        return checkpoint.save(self._relay_url, self._exchange, self._pending)

    @property
    def exchange(self) -> Exchange:
        """The state, to look at; only events change it."""
        return self._exchange

    # What the connector calls.

    def connected(self, link: WebSocket) -> None:
        """A connection is up; the server is about to welcome us."""
        self._conversation = Conversation(link)

    def received(self, text: str) -> None:
        """The server said something."""
        conversation = self._conversation
        if conversation is None or self._over:
            return
        event: ev.Event | Pong | None
        try:
            event = read(text)
        except Malformed as error:
            event = ev.ServerMisbehaved(str(error))
        if event is None:
            return
        if isinstance(event, ev.Welcomed):
            conversation.welcomed = True
            self._connector.welcomed()
            self._status(Connected(self._relay_url))
        elif not conversation.welcomed and not isinstance(event, ev.Refused | ev.ServerMisbehaved):
            return
        if isinstance(event, ev.MessageArrived):
            conversation.said.hear(event, self._exchange)
        self._from_outside(event, conversation)

    def disconnected(self, reason: ConnectionEnded) -> None:
        """The connection is gone."""
        if self._conversation is not None:
            self._conversation.end()
            self._conversation = None
        self._status(Disconnected(self._relay_url, reason.reason))
        self._from_outside(ev.ConnectionLost(), None)

    def failed(self, reason: ConnectionEnded, retry_in: float) -> None:
        """No connection could be made this time."""
        self._status(Unreachable(self._relay_url, reason.reason, retry_in))
        self._from_outside(ev.ConnectionLost(), None)

    def _status(self, status: Status) -> None:
        if self._on_status_update is not None:
            try:
                self._on_status_update(status)
            except Exception:  # noqa: BLE001 - whatever the application raised; it is reported
                # News are not events: the wormhole goes on without whoever wanted to hear them.
                _log.failure("The application failed while hearing of the connection")

    def _from_outside(self, event: ev.Event | Pong, conversation: Conversation | None) -> None:
        """Let *event* happen; an exception of the application's is not the connection's."""
        if self._over:
            return
        try:
            if isinstance(event, Pong):
                if conversation is not None:
                    conversation.said.caught_up = True
                with self._journal.process():
                    self._speak()
            else:
                self._happen(event)
        except Exception:  # noqa: BLE001 - whatever the application raised; it is reported
            self._broken(Failure())

    def _broken(self, failure: Failure) -> None:
        """The application failed inside an event, which is now neither saved nor sent."""
        self.abandon()
        if self._on_broken is not None:
            self._on_broken(failure)
        else:
            _log.failure("The application failed while handling an event", failure)

    # How an event happens.

    def _happen(self, event: ev.Event) -> None:
        if self._over:
            return
        try:
            with self._journal.process():
                seed = self._entropy()
                notices = self._exchange.apply(event, seed)
                if notices is not None:
                    self._heard.append((event, seed))
                    self._pending.extend(notices)
                if not self._draining:
                    self._drain()
        except Exception:
            # What happened here is neither saved nor sent, so nothing may be built upon it.
            self.abandon()
            raise

    def _drain(self) -> None:
        """Tell the delegate everything, also what its own reactions cause; then speak."""
        self._draining = True
        try:
            while self._pending:
                self._tell(self._pending.popleft())
        finally:
            self._draining = False
        self._speak()

    def _tell(self, notice: out.Notice) -> None:
        name, argument = _called(notice)
        method = getattr(self._delegate, name, None)
        if method is not None:
            method(argument)

    def _speak(self) -> None:
        """Queue what the server must hear, behind the commit of all that led to it."""
        frames: tuple[Frame, ...] = ()
        conversation = self._conversation
        changed = False
        if conversation is not None and conversation.welcomed:
            frames = wanted(self._exchange, conversation.said)
            changed = self._exchange.saying(frames)
            for frame in frames:
                conversation.said.note(frame)
            if frames:
                self._journal.queue_outbound(conversation.send, frames)
        elif conversation is not None and self._exchange.lifecycle.state == "leaving":
            # Nothing can be said before the welcome, and a server that begins like this may
            # never send one.
            self._journal.queue_outbound(conversation.drop)
        self._record(frames, changed)
        if self._exchange.ended and not self._over:
            self._over = True
            self._journal.queue_outbound(self._connector.stop)

    def _record(self, frames: tuple[Frame, ...], changed: bool) -> None:
        heard, self._heard = self._heard, []
        if self._history is None:
            return
        side = self._exchange.side
        said = [text for frame in frames if (text := describe.said(frame)) is not None]
        if not heard and (said or changed):
            self._history.record("resume", heard="server: is up to date", said=said, event=b"")
        for place, (event, seed) in enumerate(heard, 1):
            self._history.record(
                code_of(event),
                heard=describe.heard(event, side),
                said=said if place == len(heard) else (),
                event=json.dumps({"event": to_json(event), "seed": seed.hex()}).encode(),
            )


def _called(notice: out.Notice) -> tuple[str, object]:
    """Return the delegate's method for *notice*, and its argument."""
    match notice:
        case out.GotWelcome(welcome):
            return "wormhole_got_welcome", welcome
        case out.GotCode(code):
            return "wormhole_got_code", code
        case out.GotUnverifiedKey(key):
            return "wormhole_got_unverified_key", key
        case out.GotVerifier(verifier):
            return "wormhole_got_verifier", verifier
        case out.GotVersions(versions):
            return "wormhole_got_versions", versions
        case out.GotMessage(plaintext):
            return "wormhole_got_message", plaintext
        case out.Closed():
            return "wormhole_closed", result(notice)


def result(closed: out.Closed) -> str | errors.WormholeError:
    """Return how a wormhole ended: "happy", or the exception that says why not."""
    kind = _ENDINGS.get(closed.error)
    if kind is None:
        return closed.mood
    return kind(closed.detail) if closed.detail else kind()


_ENDINGS: Mapping[str, Callable[..., errors.WormholeError]] = {
    kind.__name__: kind
    for kind in (
        errors.LonelyError,
        errors.WrongPasswordError,
        errors.ServerError,
        errors.WelcomeError,
        errors.PeerError,
    )
}
