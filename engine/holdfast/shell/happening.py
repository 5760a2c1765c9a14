"""How one event happens to a wormhole: the heart of the shell.

An event is the application's (`Happening.happen`: it calls its wormhole) or comes from outside
(`outside`, `heard`: the server said something, a connection came or went). Then this happens:

1. The journal's `process()` is entered. Everything until its end is one commit. If that commit
   fails, none of it has happened.
2. A seed is drawn, and `Exchange.apply` returns notices, or None if the event says nothing new.
3. The delegate is told the notices, one by one. It may call the wormhole again from there. Such
   an event is applied at once, in the same commit, but its notices wait behind those that the
   delegate has not been told yet: it hears everything in the order in which it happened, and is
   never called from inside itself.
4. After the last notice `wanted` says, once, what the server must hear. The frames are queued
   with the journal, which sends them when the commit is durable. They are noted as said at once,
   so that the next event does not say them again; if the commit fails, the connection goes too.
5. If the journal keeps a history, it is told what happened. Then the journal is left, and asks for
   the wormhole's document, which contains all of this.

Events that the server causes at the same time share steps 1, 4 and 5, unless the wormhole is
`careful`. So do those that lead to nothing and whatever happens next (`lull.py`).

Exceptions. A `refusal` comes before any event: the face (`wormhole.py`) checks arguments and
states first, and raises with nothing changed. If something is raised later, by a method of the
delegate, by the journal, or by a bug of the core, the exchange has moved but the commit was not
made: what is in memory never happened. So the wormhole is abandoned. It says nothing more, and its
last document is all that is left. If the application called us, it gets the exception; if not,
`Options.on_broken` does, or else the delegate's `wormhole_closed`.

The end is an event like any other, and leads to the notice `Closed`. The connection is hung up
after the commit of that event, like a frame that is sent.

What a dilated wormhole does with its subchannels happens in the same way (`within`), only that the
event is none of the core's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import TYPE_CHECKING

from twisted.logger import Logger
from twisted.python.failure import Failure

from holdfast.core import events as ev
from holdfast.core import notices as out
from holdfast.core.checkpoint import SavedWormhole
from holdfast.core.frames import Frame
from holdfast.core.wanted import used_up, wanted
from holdfast.errors import WormholeError
from holdfast.rendezvous.wire import FromServer
from holdfast.shell.alive import Life
from holdfast.shell.contact import Contact, MakesConnector
from holdfast.shell.conversation import Conversation
from holdfast.shell.news import News
from holdfast.shell.options import Options
from holdfast.shell.recording import Heard, comes_again, write_down
from holdfast.shell.refilling import Refill, lacking
from holdfast.shell.telling import called, result
from holdfast.shell.typing.typed import TypingCode
from holdfast.status import Closed, Connecting, Status
from holdfast_journal import IJournal

if TYPE_CHECKING:
    from holdfast.shell.dilating import Dilating

_log = Logger()


class Happening:
    """Lets events happen to one wormhole, and holds everything that takes part in that.

    Args:
        saved: the wormhole as it was made or loaded.
        delegate: hears what happens.
        journal: makes it durable.
        connector: makes what keeps us connected.
        options: what the application asked for.

    Raises:
        AlreadyResumed: the wormhole is alive in this process.
    """

    # Thousands wait at once, and each of their objects counts.
    __slots__ = (
        "_delegate",
        "_draining",
        "_heard",
        "_news",
        "contact",
        "dilation",
        "document",
        "exchange",
        "journal",
        "life",
        "options",
        "pending",
        "typing",
    )

    def __init__(
        self,
        saved: SavedWormhole,
        delegate: object,
        journal: IJournal,
        connector: MakesConnector,
        options: Options,
    ) -> None:
        self.exchange = saved.exchange
        self.journal = journal
        self.options = options
        """What the application asked for."""
        self.dilation: Dilating | None = None
        """Its dilation, if it has one."""
        if saved.dilation is not None:
            from holdfast.shell.dilating import resumed  # few wormholes have one

            self.dilation = resumed(self, saved.dilation)
        self.life = Life(saved.exchange.side)
        self.pending: out.Notices = saved.pending
        """What the delegate has not been told."""
        self.typing: TypingCode | None = None
        """The code that is being typed, if one is, or was."""
        self.document: tuple[str, float | None] | None = None
        """The document as text, and the `heard_at` in it; None when something has happened."""
        self._delegate = delegate
        self._news = News(saved.exchange, Connecting(saved.relay_url), options)
        self._heard: Heard = ()
        self._draining = False
        self.contact = Contact(self, saved, connector, self._news, self.life, options)

    # Where events come from.

    def begin(self) -> None:
        """Go on where an earlier life ended: tell the delegate what it was not told there."""
        dilation = self.dilation if self.exchange.well else None
        begins = dilation is not None and dilation.is_to_begin
        if self.pending or begins:
            try:
                with self.journal.process():
                    if dilation is not None and begins:
                        self._call(dilation.resume)
                    self._tell_all()
                    self._speak()
            except Exception:
                self.abandon()
                raise

    def happen(self, event: ev.Event) -> None:
        """Let an event of the application's happen, and raise to it whatever goes wrong."""
        self.enter(self.react, event)

    def enter(self, do: Callable[..., object], *about: object) -> None:
        """Call `do` for the application inside an entry, and raise to it whatever goes wrong."""
        if self.life.is_over:
            return
        try:
            with self.journal.process():
                if not self._draining:
                    self._catch_up()
                self._call(do, *about)
                if not self._draining:
                    self._tell_all()
                    self._speak()
        except Exception as error:
            # What happened here is neither saved nor sent, so nothing may be built upon it.
            self.abandon()
            if self.options.on_broken is None:
                self.life.failure = error
            raise

    @property
    def status(self) -> Status:
        """How it stands."""
        return self._news.status

    def within(self, do: Callable[[], object]) -> None:
        """Call `do` for the dilation inside an entry; if it fails, the wormhole is abandoned.

        An entry that the wormhole has open is joined, and what is raised goes to whoever opened it.
        """
        if self._draining:
            do()
        else:
            self._together(self._call, do, only_dilation=True)

    def settle(self) -> None:
        """Have what was done to subchannels in the open entry be part of it, and leave behind it.

        Raises whatever goes wrong.
        """
        if self.dilation is not None and self.dilation.is_unsaved:
            self.enter(_nothing)

    def outside(self, *events: ev.Event | None) -> None:
        """Let `events` happen; an exception of the application's does not reach the connection.

        They are one commit: all of them happen, or none. A None among them stands for no event:
        something is only to be said.
        """
        if self.options.careful:
            for event in events:
                self._together(self._react, event)
        else:
            self._together(self._react, *events)

    def heard(self, heard: Sequence[FromServer], conversation: Conversation) -> None:
        """Let everything happen that the server has said at once; see `outside`."""
        if self.options.careful:
            for said in heard:
                self.contact.hear(said, conversation, self.outside)
        else:
            self._together(self._hear, heard, conversation)

    def listed(self, nameplates: AbstractSet[str]) -> None:
        """The server has these nameplates, as it says because we asked."""
        if self.typing is not None:
            self.typing.got_nameplates(nameplates)

    # What happens then.

    def _together(
        self, what: Callable[..., None], *about: object, only_dilation: bool = False
    ) -> None:
        if self.life.is_over:
            return
        try:
            with self.journal.process():
                self._catch_up()
                what(*about)
                self._tell_all()
                if only_dilation and not self._heard:
                    # Thousands of times a second: the server need hear nothing of it.
                    self._leave((), changed=False)
                else:
                    self._speak()
        except Exception:  # noqa: BLE001 - whatever the application raised; it is reported
            self._broken(Failure())

    def _hear(self, heard: Sequence[FromServer], conversation: Conversation) -> None:
        for said in heard:
            self.contact.hear(said, conversation, self._react)
        comes_again(self.journal)

    def _catch_up(self) -> None:
        """Hear what the server has said before, and nobody has waited for."""
        conversation = self.contact.conversation
        if conversation is not None:
            for said in self.contact.take_unheard():
                self.contact.hear(said, conversation, self._react)

    def _react(self, *events: ev.Event | None) -> None:
        for event in events:
            if event is not None:
                self.react(event)
                self._tell_all()

    def _call(self, do: Callable[..., object], *about: object) -> None:
        """Call what may let events happen, which then belong to this entry."""
        inside, self._draining = self._draining, True
        try:
            do(*about)
        finally:
            self._draining = inside

    def react(self, event: ev.Event) -> None:
        """Let an event happen in the entry that is open; the delegate is told later in it."""
        seed = self.options.entropy()
        notices = self.exchange.apply(event, seed)
        self._news.event(event)
        if notices is not None:
            self._heard += ((event, seed),)
            self.pending += notices
            if not isinstance(event, ev.Welcomed):
                self.contact.progress()

    def _tell_all(self) -> None:
        """Tell the delegate everything, also what its own reactions cause."""
        while self.pending:  # most events lead to nothing
            notice, self.pending = self.pending[0], self.pending[1:]
            self._call(self._notice, notice)

    def _notice(self, notice: out.Notice) -> None:
        if isinstance(notice, out.GotDilation):
            if self.dilation is not None:  # there is one as soon as the core tells such things
                self.dilation.heard(notice.plaintext)
            return
        name, argument = called(notice, self.contact.no_server)
        if isinstance(notice, out.GotWelcome) and self.options.welcome_handler is not None:
            self.options.welcome_handler(dict(notice.welcome))
        self.tell(name, argument)
        if isinstance(notice, out.GotVersions) and self.dilation is not None:
            self.dilation.met()

    def tell(self, name: str, argument: object) -> None:
        """Call the delegate's method `name`, if it has one; inside an entry."""
        self._news.told(name)
        method = getattr(self._delegate, name, None)
        if method is not None:
            method(argument)

    def _speak(self) -> None:
        """Queue what the server must hear, behind the commit of all that led to it."""
        if self.dilation is not None and not self.exchange.well:
            self._call(self.dilation.end)
        frames: tuple[Frame, ...] = ()
        conversation = self.contact.conversation
        changed = False
        if conversation is not None and conversation.welcomed:
            frames = wanted(self.exchange, conversation.said)
            changed = self.exchange.saying(frames)
            for frame in frames:
                conversation.said.note(frame)
            if frames:
                self.journal.queue_outbound(conversation.send, frames)
            self._refill(conversation)
            if used_up(self.exchange, conversation.said):
                self.journal.queue_outbound(self.contact.begin_anew, conversation)
        elif conversation is not None and self.exchange.lifecycle.state == "leaving":
            # Nothing can be said before the welcome, and a server that begins like this may
            # never send one.
            why = "the server sent something else than a welcome"
            self.journal.queue_outbound(conversation.drop, why)
        self._leave(frames, changed=changed)
        if self.typing is not None:
            self.typing.speak()
        self._news.key()
        if self.exchange.ended and not self.life.is_over:
            self.life.is_over = True
            self.journal.queue_outbound(self._hang_up)
        elif not self.exchange.well:
            self.contact.wait()

    def _leave(self, frames: Sequence[Frame], *, changed: bool) -> None:
        """Write down what happened in this entry, and what is said to that."""
        self.document = None
        heard, self._heard = self._heard, ()
        words = None if self.dilation is None else self.dilation.leave_entry()
        write_down(self.journal, self.exchange.side, heard, frames, words, changed=changed)

    def _refill(self, conversation: Conversation) -> None:
        """Have messages looked up that the mailbox lacks."""
        conversation.said.compact(self.exchange)
        kept = self.options.kept
        if kept is not None and (numbers := lacking(self.exchange, conversation)):
            conversation.fetching = True
            speak = partial(self.outside, None)
            refill = Refill(kept, numbers, conversation, self.life, speak, self._broken)
            # After the commits that put them there.
            self.journal.queue_outbound(refill.begin)

    # How it ends.

    @property
    def ending(self) -> str | WormholeError:
        """How the wormhole ends, or has ended: "happy", or the exception that says why not."""
        data = self.exchange.lifecycle.data
        return result(out.Closed(data.mood, data.error, data.detail), self.contact.no_server)

    def abandon(self) -> None:
        """Let go of the connection and stay silent; the checkpoint is all that is left."""
        self.life.abandon(self.exchange.side)
        if self.dilation is not None:
            self.dilation.stop()
        if self.contact.conversation is not None:
            self.contact.conversation.end()
        self._hang_up()

    def tell_failure(self, error: BaseException | None) -> None:
        """Tell the delegate that this exception of its own has ended the wormhole."""
        closed = getattr(self._delegate, "wormhole_closed", None)
        if closed is not None:
            closed(error)

    def _hang_up(self) -> None:
        tell = partial(self._news.connection, Closed())
        self.contact.stop().addCallback(lambda _: self.life.down(tell))

    def _broken(self, failure: Failure) -> None:
        """The application failed inside an event, which is now neither saved nor sent."""
        self.abandon()
        if self.options.on_broken is not None:
            self.options.on_broken(failure)
            return
        _log.failure("The application failed while handling an event", failure)
        self.life.failure = None
        try:
            self.tell_failure(failure.value)
        except Exception:  # noqa: BLE001 - whatever the application raised; it is reported
            _log.failure("The application failed again while hearing of that")


def _nothing() -> None:
    """For an entry in which everything has happened already."""
