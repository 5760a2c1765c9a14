"""The wormhole that applications hold: a shell around the core's `Exchange`.

The shell alone touches the world.  It draws the randomness, enters the journal around each event,
calls the delegate, asks `wanted` what to say, and queues that behind the journal's commit.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from holdfast import errors
from holdfast.codes import validate
from holdfast.codes.helper import InputHelper, Stage
from holdfast.conversation import Conversation
from holdfast.core import checkpoint, describe
from holdfast.core import events as ev
from holdfast.core import notices as out
from holdfast.core.codec import code_of, to_json
from holdfast.core.exchange import Exchange
from holdfast.core.frames import Frame, ListNameplates
from holdfast.core.wanted import wanted
from holdfast.crypto import derive
from holdfast.patience import Clock, Patience
from holdfast.rendezvous.boundaries import ConnectionEnded
from holdfast.rendezvous.connector import Connector
from holdfast.rendezvous.websocket import WebSocket
from holdfast.rendezvous.wire import Malformed, Nameplates, Pong, read
from holdfast.status import (
    AllegedKey,
    Closed,
    ConfirmedKey,
    Connected,
    Connecting,
    Connection,
    Disconnected,
    NoKey,
    Status,
    Unreachable,
)
from holdfast.telling import called
from holdfast.timing import DebugTiming
from holdfast_journal import History, IJournal

LONGEST_MESSAGE = 8 * 1024 * 1024
"""Bytes of the longest message that may be sent; the server stores it twice as long."""

MOST_CLOSING_TRIES = 3
"""Connections on which a server may ignore our closing before we leave without its answer."""

_log = Logger()
_alive: WeakValueDictionary[str, DelegatedWormhole] = WeakValueDictionary()


FROM_APPLICATION = (
    ev.AllocateCode,
    ev.SetCode,
    ev.TypeCode,
    ev.ChooseNameplate,
    ev.ChooseWords,
    ev.SendMessage,
    ev.Close,
)
"""The events that are the application's own doing."""


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
        timing: DebugTiming | None = None,
        welcome_handler: Callable[[dict[str, Any]], object] | None = None,
        clock: Clock | None = None,
        first_failure_is_final: bool = False,
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
        self._timing = timing
        self._welcome_handler = welcome_handler
        self._patience = None if clock is None else Patience(clock, self._out_of_patience)
        self._first_failure_is_final = first_failure_is_final
        self._connection: Connection = Connecting(relay_url)
        self._key_told = self._key()
        self._helper: InputHelper | None = None
        self._wants_nameplates = False
        self._wordlist_waiters: list[Deferred[None]] = []
        self._down: Deferred[None] = Deferred()
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
            self._status(Connecting(self._relay_url))
            self._connector.start()

    def abandon(self) -> None:
        """Let go of the connection and stay silent; the checkpoint is all that is left."""
        self._over = True
        if self._conversation is not None:
            self._conversation.end()
        if _alive.get(self._exchange.side) is self:
            del _alive[self._exchange.side]
        self._stop()

    def _stop(self) -> None:
        if self._patience is not None:
            self._patience.stop()
        self._connector.stop().addCallback(self._is_down)

    def _is_down(self, _: object) -> None:
        if not self._down.called:
            self._status(Closed())
            self._down.callback(None)

    def when_down(self) -> Deferred[None]:
        """Return a Deferred that fires when the wormhole has ended and its connection is down."""
        waiting: Deferred[None] = Deferred()
        self._down.addCallback(lambda _: waiting.callback(None))
        return waiting

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

    def input_code(self) -> InputHelper:
        """Let a person type the code; the helper completes nameplates and words.

        Raises:
            OnlyOneCodeError: this wormhole has a code, or has asked for one.
        """
        resumed = self._helper is None and self._exchange.code.state in ("typing", "typing_words")
        if not resumed:
            self._only_one_code()
        self._helper = InputHelper(self)
        if not resumed:
            self._happen(ev.TypeCode())
        return self._helper

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

    # What the input helper asks (`holdfast.codes.helper.Typed`).

    @property
    def typing_stage(self) -> Stage:
        """How far the typing of the code has come."""
        stages = {"typing": Stage.NAMEPLATE, "typing_words": Stage.WORDS}
        return stages.get(self._exchange.code.state, Stage.DONE)

    @property
    def wordlist_is_known(self) -> bool:
        """Whether the nameplate is claimed; every nameplate has the same word list so far."""
        return self._exchange.nameplate.state in ("claimed", "releasing", "released")

    def list_nameplates(self) -> None:
        """Ask the server which nameplates there are, now or on the next connection."""
        self._wants_nameplates = True
        with self._journal.process():
            self._list()

    def choose_nameplate(self, nameplate: str) -> None:
        """Claim this nameplate, while the words are being typed."""
        self._happen(ev.ChooseNameplate(nameplate))

    def choose_words(self, words: str) -> None:
        """The code is complete."""
        self._happen(ev.ChooseWords(words))

    def when_wordlist_is_known(self) -> Deferred[None]:
        """Return a Deferred of the word list's being known."""
        waiting: Deferred[None] = Deferred()
        self._wordlist_waiters.append(waiting)
        self._journal.queue_outbound(self._tell_wordlist)
        return waiting

    def _tell_wordlist(self) -> None:
        if self.wordlist_is_known:
            told, self._wordlist_waiters = self._wordlist_waiters, []
            for waiting in told:
                if not waiting.called:
                    waiting.callback(None)

    def _list(self) -> None:
        conversation = self._conversation
        if self._wants_nameplates and conversation is not None and conversation.welcomed:
            self._wants_nameplates = False
            self._journal.queue_outbound(conversation.send, (ListNameplates(),))

    # What the connector calls.

    def connected(self, link: WebSocket) -> None:
        """A connection is up; the server is about to welcome us."""
        self._conversation = Conversation(link, self._note_sent)

    def received(self, text: str) -> None:
        """The server said something."""
        conversation = self._conversation
        if conversation is None or self._over:
            return
        event: ev.Event | Pong | Nameplates | None
        try:
            event = read(text)
        except Malformed as error:
            event = ev.ServerMisbehaved(str(error))
        if event is None:
            return
        if isinstance(event, Nameplates):
            if self._helper is not None:
                self._helper.got_nameplates(event.nameplates)
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
        first = isinstance(self._connection, Connecting)
        self._status(Unreachable(self._relay_url, reason.reason, retry_in))
        if first and self._first_failure_is_final:
            self._from_outside(ev.NoServer(reason.reason), None)
        self._from_outside(ev.ConnectionLost(), None)

    def _status(self, connection: Connection | None = None) -> None:
        """Tell how things stand, if that has changed."""
        key = self._key()
        if connection is not None:
            self._connection = connection
            if self._timing is not None:
                self._timing.add("connection", type(connection).__name__.lower())
        elif key == self._key_told:
            return
        self._key_told = key
        if self._on_status_update is not None:
            try:
                self._on_status_update(Status(self._connection, key))
            except Exception:  # noqa: BLE001 - whatever the application raised; it is reported
                # News are not events: the wormhole goes on without whoever wanted to hear them.
                _log.failure("The application failed while hearing of the connection")

    def _key(self) -> NoKey | AllegedKey | ConfirmedKey:
        state = self._exchange.key.state
        if state == "confirmed":
            return ConfirmedKey()
        return AllegedKey() if state == "agreed" else NoKey()

    def _note_sent(self, frame: Frame) -> None:
        if self._timing is not None:
            self._timing.add("said", describe.said(frame) or type(frame).__name__.lower())

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
            return
        _log.failure("The application failed while handling an event", failure)
        closed = getattr(self._delegate, "wormhole_closed", None)
        if closed is not None:
            closed(failure.value)

    def _out_of_patience(self, tries: int) -> None:
        """The server does not answer while we close: cut the connection, in the end for good."""
        if self._conversation is not None:
            self._conversation.drop("the server does not answer")
        if tries >= MOST_CLOSING_TRIES:
            self._from_outside(ev.ServerMisbehaved("the server does not answer our closing"), None)
            self._from_outside(ev.ConnectionLost(), None)

    # How an event happens.

    def _happen(self, event: ev.Event) -> None:
        if self._over:
            return
        try:
            with self._journal.process():
                seed = self._entropy()
                notices = self._exchange.apply(event, seed)
                if self._timing is not None:
                    self._note_event(event)
                if notices is not None:
                    self._heard.append((event, seed))
                    self._pending.extend(notices)
                    if self._patience is not None:
                        self._patience.progress()
                if not self._draining:
                    self._drain()
        except Exception:
            # What happened here is neither saved nor sent, so nothing may be built upon it.
            self.abandon()
            raise

    def _note_event(self, event: ev.Event) -> None:
        if self._timing is not None:
            way = "asked" if isinstance(event, FROM_APPLICATION) else "heard"
            words = describe.heard(event, self._exchange.side)
            self._timing.add(way, words.removeprefix("application: ").removeprefix("server: "))

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
        name, argument = called(notice)
        if self._timing is not None:
            self._timing.add("told", name)
        if isinstance(notice, out.GotWelcome) and self._welcome_handler is not None:
            self._welcome_handler(dict(notice.welcome))
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
            why = "the server sent something else than a welcome"
            self._journal.queue_outbound(conversation.drop, why)
        self._record(frames, changed)
        self._list()
        if self._wordlist_waiters and self.wordlist_is_known:
            self._journal.queue_outbound(self._tell_wordlist)
        self._status()
        if self._exchange.ended and not self._over:
            self._over = True
            self._journal.queue_outbound(self._stop)
        elif self._patience is not None and not self._exchange.well and conversation is not None:
            self._patience.start()

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
