"""The wormhole that applications hold: a shell around the core's `Exchange`.

The shell alone touches the world. It draws the randomness, enters the journal around each event,
calls the delegate, asks `wanted` what to say, and queues that behind the journal's commit.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from holdfast import errors
from holdfast.codes import validate
from holdfast.core import checkpoint
from holdfast.core import events as ev
from holdfast.core import notices as out
from holdfast.core.exchange import Exchange
from holdfast.core.frames import Frame
from holdfast.core.wanted import absent, used_up, wanted
from holdfast.crypto import OVERHEAD, derive
from holdfast.rendezvous.wire import LONGEST_BODY
from holdfast.shell.contact import Contact, MakesConnector
from holdfast.shell.conversation import Conversation
from holdfast.shell.news import News
from holdfast.shell.patience import Clock
from holdfast.shell.recording import Heard, write_down
from holdfast.shell.telling import called, result
from holdfast.shell.typing.helper import InputHelper
from holdfast.shell.typing.typed import TypingCode
from holdfast.status import Closed, Connecting, Status
from holdfast.timing import DebugTiming
from holdfast_journal import DatabaseAway, History, IJournal

LONGEST_MESSAGE = LONGEST_BODY - OVERHEAD
"""Bytes of the longest message that may be sent: 4,193,752."""

FETCHED_AT_ONCE: Final = 64
"""Messages that are looked up together for a server that has forgotten them."""

_log = Logger()
_alive: WeakValueDictionary[str, DelegatedWormhole] = WeakValueDictionary()


class DelegatedWormhole:
    """A wormhole that tells a delegate what happens.

    Made by `holdfast.create` or `holdfast.from_serialized`. Every method may be called from
    inside every method of the delegate; what it does is then part of the same journal entry.

    The delegate's methods, each of which it may leave out, in the order in which they come:
    `wormhole_got_welcome(dict)`, `wormhole_got_code(str)`, `wormhole_got_unverified_key(bytes)`,
    `wormhole_got_verifier(bytes)`, `wormhole_got_versions(dict)`, `wormhole_got_message(bytes)`
    for each message, and `wormhole_closed(result)`, once: the string "happy", or an exception.

    What the server says at once is one commit. A `careful` wormhole makes a commit of each event,
    so that one at which the application fails undoes no other.

    A `discreet` wormhole tells its code only when the server has our first message, and so when
    whoever enters the code will find us; a code that is lost before that is replaced, and nobody
    misses it. One that is not tells it as soon as it is known, as the stock library does.

    Whoever calls `take_shown` has a place for messages that are done, where `kept` finds them
    again, at least the first of the numbers that it is asked for.
    """

    # Thousands wait at once, and each of their objects counts.
    __slots__ = (
        "__weakref__",
        "_careful",
        "_contact",
        "_delegate",
        "_discreet",
        "_document",
        "_down",
        "_draining",
        "_entropy",
        "_exchange",
        "_failure",
        "_heard",
        "_history",
        "_is_down",
        "_journal",
        "_kept",
        "_news",
        "_on_broken",
        "_over",
        "_pending",
        "_relay_url",
        "_typing",
        "_welcome_handler",
    )

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
        now: Callable[[], float] = time.time,
        heard_at: float | None = None,
        first_failure_is_final: bool = False,
        careful: bool = False,
        discreet: bool = False,
        kept: Callable[[Sequence[int]], Deferred[Mapping[int, bytes]]] | None = None,
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
        self._on_broken = on_broken
        self._careful = careful
        self._discreet = discreet
        self._kept = kept
        self._welcome_handler = welcome_handler
        self._news = News(exchange, Connecting(relay_url), on_status_update, timing)
        self._typing: TypingCode | None = None
        self._failure: Exception | None = None
        self._is_down = False
        self._down: tuple[Callable[[], object], ...] = ()
        self._pending: out.Notices = pending
        self._heard: Heard = ()
        self._document: tuple[str, float | None] | None = None
        self._draining = False
        self._over = False
        self._contact = Contact(
            self,
            exchange,
            relay_url,
            connector,
            self._news,
            clock=clock,
            now=now,
            heard_at=heard_at,
            first_failure_is_final=first_failure_is_final,
        )

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
            self._contact.start()

    def abandon(self) -> None:
        """Let go of the connection and stay silent; the checkpoint is all that is left."""
        self._over = True
        conversation = self._contact.conversation
        if conversation is not None:
            conversation.end()
        if _alive.get(self._exchange.side) is self:
            del _alive[self._exchange.side]
        self._stop()

    def _stop(self) -> None:
        self._contact.stop().addCallback(self._stopped)

    def _stopped(self, _: object) -> None:
        if not self._is_down:
            self._is_down = True
            self._news.connection(Closed())
            told, self._down = self._down, ()
            for call in told:
                call()

    def on_down(self, call: Callable[[], object]) -> None:
        """Have `call` called when the wormhole has ended and its connection is down."""
        if self._is_down:
            call()
        else:
            self._down += (call,)

    def when_down(self) -> Deferred[None]:
        """Return a Deferred that fires when the wormhole has ended and its connection is down."""
        waiting: Deferred[None] = Deferred()
        self.on_down(lambda: waiting.callback(None))
        return waiting

    # What applications call.

    def allocate_code(self, length: int = 2, *, code_length: int | None = None) -> None:
        """Ask the mailbox server for a nameplate, and make a code of `length` random words.

        Args:
            length: how many words, 1 to 100.
            code_length: a synonym of `length`.

        Raises:
            OnlyOneCodeError: this wormhole has a code, or has asked for one.
            WormholeClosed: it has begun to close; or the WormholeError that it ended with.
            TypeError, ValueError: `length` is no such number.
        """
        words = length if code_length is None else code_length
        if type(words) is not int:
            raise TypeError("length is a number of words")
        if not 1 <= words <= 100:
            raise ValueError("a code has 1 to 100 words")
        self._only_one_code()
        self._happen(ev.AllocateCode(words, self._discreet))

    def set_code(self, code: str) -> None:
        """Use the code that the other side has too.

        Raises:
            KeyFormatError: it is malformed; the wormhole may still be given another.
            OnlyOneCodeError: this wormhole has a code, or has asked for one.
            WormholeClosed: it has begun to close; or the WormholeError that it ended with.
            TypeError: it is not a text file.
        """
        if not isinstance(code, str):
            raise TypeError("a code is text")
        code = validate(code)
        self._only_one_code()
        self._happen(ev.SetCode(code, self._discreet))

    def _check_open(self) -> None:
        """Raise why no code can be had any more, if that is so."""
        if not self._exchange.well:
            data = self._exchange.lifecycle.data
            ending = result(out.Closed(data.mood, data.error, data.detail), self._contact.no_server)
            if isinstance(ending, str | errors.LonelyError):
                raise errors.WormholeClosed
            raise ending
        if self._over:
            raise errors.WormholeClosed

    def _only_one_code(self) -> None:
        self._check_open()
        if self._exchange.code.state != "unset":
            raise errors.OnlyOneCodeError

    def input_code(self) -> InputHelper:
        """Let a person type the code; the helper completes nameplates and words.

        The server is asked for its nameplates at once, as with `refresh_nameplates`.

        Raises:
            OnlyOneCodeError: this wormhole has a code, or has asked for one.
            WormholeClosed: it has begun to close; or the WormholeError that it ended with.
        """
        if self._typing is None:
            self._typing = TypingCode(
                self._exchange,
                self._journal,
                self._happen,
                self._check_open,
                lambda: self._contact.conversation,
            )
        if not self._typing.is_to_be_resumed:
            self._only_one_code()
            self._happen(ev.TypeCode(self._discreet))
        return self._typing.begin()

    def send_message(self, message: bytes) -> None:
        """Send `message` to the peer, now or once it is there; never before it has proved itself.

        A message that is sent after the wormhole has begun to close goes nowhere.

        Raises:
            ValueError: it is longer than 4,193,752 bytes. On its way a message is sealed, and
                twice as long in hexadecimal digits, and some servers cut the connection of
                whoever sends them more than 8 MiB at once.
            TypeError: it is not bytes.
        """
        if not isinstance(message, bytes):
            raise TypeError("a message is bytes")
        if len(message) > LONGEST_MESSAGE:
            raise ValueError(
                f"a message has at most {LONGEST_MESSAGE:,} bytes, not {len(message):,}: it travels"
                " in more than twice as many, and a server need not take more than 8 MiB at once;"
                " send it in parts"
            )
        self._happen(ev.SendMessage(message))

    def derive_key(self, purpose: str, length: int = 32) -> bytes:
        """Return `length` bytes (1 to 8160) that only the two sides can derive for `purpose`.

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
        Closing twice is closing once. After an exception of the application's own, which was
        raised where it called us, `wormhole_closed` is called with that.
        """
        failure, self._failure = self._failure, None
        if failure is not None:
            self._tell_failure(failure)
        self._happen(ev.Close())

    def serialize(self) -> dict[str, Any]:
        """Return the wormhole as a JSON-able dictionary, for `holdfast.from_serialized`.

        It holds secrets. What the delegate has been told is not told again after resuming; what
        it has not been told is. The document must be resumed only once.
        """
        heard_at = self._contact.heard_at
        return checkpoint.save(self._relay_url, self._exchange, self._pending, heard_at)

    def take_shown(self) -> list[tuple[int, bytes]]:
        """Take messages that are done out of the wormhole, with their numbers; see `kept`.

        Call it inside the journal's `process()`, whose commit keeps them and the document.
        """
        taken = self._exchange.outbox.data.take_shown()
        if taken:
            self._document = None
        return taken

    def document(self) -> str:
        """Return `serialize` as JSON text, which is kept until something happens."""
        kept, heard_at = self._document, self._contact.heard_at
        if kept is None or kept[1] != heard_at:
            kept = self._document = json.dumps(self.serialize()), heard_at
        return kept[0]

    @property
    def exchange(self) -> Exchange:
        """The state, to look at; only events change it."""
        return self._exchange

    @property
    def is_connected(self) -> bool:
        """Whether a server has welcomed us and is there still."""
        conversation = self._contact.conversation
        return conversation is not None and conversation.welcomed

    @property
    def is_resting(self) -> bool:
        """Whether the server has shown us all that it holds, and only the peer is waited for."""
        conversation = self._contact.conversation
        up_to_date = conversation is not None and conversation.said.caught_up
        if conversation is None or conversation.fetching:
            return False
        return up_to_date and not self._pending and self._exchange.is_resting

    # What the contact calls.

    def listed(self, nameplates: AbstractSet[str]) -> None:
        """The server was asked which nameplates there are, and has these."""
        if self._typing is not None:
            self._typing.got_nameplates(nameplates)

    def outside(self, events: Iterable[ev.Event | None]) -> None:
        """Let `events` happen; an exception of the application's is not the connection's.

        They are one commit: all of them happen, or none. None among them if nothing happened, and
        only something is to be said.
        """
        if self._careful:
            for event in events:
                self._outside((event,))
        else:
            self._outside(events)

    def _outside(self, events: Iterable[ev.Event | None]) -> None:
        if self._over:
            return
        try:
            with self._journal.process():
                for event in events:
                    if event is not None:
                        self._apply(event)
                        self._tell_all()
                self._speak()
        except Exception:  # noqa: BLE001 - whatever the application raised; it is reported
            self._broken(Failure())

    def _broken(self, failure: Failure) -> None:
        """The application failed inside an event, which is now neither saved nor sent."""
        self.abandon()
        if self._on_broken is not None:
            self._on_broken(failure)
            return
        _log.failure("The application failed while handling an event", failure)
        self._failure = None
        try:
            self._tell_failure(failure.value)
        except Exception:  # noqa: BLE001 - whatever the application raised; it is reported
            _log.failure("The application failed again while hearing of that")

    def _tell_failure(self, error: BaseException | None) -> None:
        closed = getattr(self._delegate, "wormhole_closed", None)
        if closed is not None:
            closed(error)

    # How an event happens.

    def _happen(self, event: ev.Event) -> None:
        if self._over:
            return
        try:
            with self._journal.process():
                self._apply(event)
                if not self._draining:
                    self._drain()
        except Exception as error:
            # What happened here is neither saved nor sent, so nothing may be built upon it.
            self.abandon()
            if self._on_broken is None:
                self._failure = error
            raise

    def _apply(self, event: ev.Event) -> None:
        seed = self._entropy()
        notices = self._exchange.apply(event, seed)
        self._news.event(event)
        if notices is not None:
            self._heard += ((event, seed),)
            self._pending += notices
            if not isinstance(event, ev.Welcomed):
                self._contact.progress()

    def _drain(self) -> None:
        """Tell the delegate everything, and then the server what it must hear."""
        self._tell_all()
        self._speak()

    def _tell_all(self) -> None:
        """Tell the delegate everything, also what its own reactions cause."""
        self._draining = True
        try:
            while self._pending:
                notice, self._pending = self._pending[0], self._pending[1:]
                self._tell(notice)
        finally:
            self._draining = False

    def _tell(self, notice: out.Notice) -> None:
        name, argument = called(notice, self._contact.no_server)
        self._news.told(name)
        if isinstance(notice, out.GotWelcome) and self._welcome_handler is not None:
            self._welcome_handler(dict(notice.welcome))
        method = getattr(self._delegate, name, None)
        if method is not None:
            method(argument)

    def _speak(self) -> None:
        """Queue what the server must hear, behind the commit of all that led to it.

        Everything that changes the wormhole's document ends here.
        """
        self._document = None
        frames: tuple[Frame, ...] = ()
        conversation = self._contact.conversation
        changed = False
        if conversation is not None and conversation.welcomed:
            frames = wanted(self._exchange, conversation.said)
            changed = self._exchange.saying(frames)
            for frame in frames:
                conversation.said.note(frame)
            if frames:
                self._journal.queue_outbound(conversation.send, frames)
            self._fill(conversation)
            if used_up(self._exchange, conversation.said):
                self._journal.queue_outbound(self._contact.begin_anew, conversation)
        elif conversation is not None and self._exchange.lifecycle.state == "leaving":
            # Nothing can be said before the welcome, and a server that begins like this may
            # never send one.
            why = "the server sent something else than a welcome"
            self._journal.queue_outbound(conversation.drop, why)
        heard, self._heard = self._heard, ()
        if self._history is not None:
            write_down(self._history, self._exchange.side, heard, frames, changed=changed)
        if self._typing is not None:
            self._typing.speak()
        self._news.key()
        if self._exchange.ended and not self._over:
            self._over = True
            self._contact.end()
            self._journal.queue_outbound(self._stop)
        elif not self._exchange.well:
            self._contact.wait()

    # What a server has forgotten that had it, and that lies elsewhere.

    def _fill(self, conversation: Conversation) -> None:
        """Have messages looked up that the mailbox lacks, a few at a time."""
        conversation.said.settle(self._exchange)
        if conversation.fetching or self._kept is None:
            return
        if lacking := absent(self._exchange, conversation.said)[:FETCHED_AT_ONCE]:
            conversation.fetching = True
            # Behind the commits that put them there.
            self._journal.queue_outbound(self._fetch, self._kept, conversation, lacking)

    def _fetch(
        self,
        kept: Callable[[Sequence[int]], Deferred[Mapping[int, bytes]]],
        conversation: Conversation,
        numbers: Sequence[int],
    ) -> None:
        if not self._over:
            found = kept(numbers)
            found.addCallback(self._fetched, conversation)
            found.addErrback(self._not_fetched, conversation)

    def _fetched(self, found: Mapping[int, bytes], conversation: Conversation) -> None:
        conversation.fetching = False
        if conversation is self._contact.conversation:
            conversation.said.fetched.update((n, body.hex()) for n, body in found.items())
            self.outside((None,))

    def _not_fetched(self, failure: Failure, conversation: Conversation) -> None:
        if self._over:
            return
        if failure.check(DatabaseAway):
            conversation.drop("what the mailbox lacks cannot be read now")  # the next one asks
        else:
            self._broken(failure)
