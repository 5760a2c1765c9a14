"""A wormhole's contact with its server: one connection after another, and what they bring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, Protocol

from twisted.internet.defer import Deferred

from holdfast.core import events as ev
from holdfast.core.checkpoint import SavedWormhole
from holdfast.core.wanted import missing
from holdfast.errors import ServerConnectionError
from holdfast.rendezvous.boundaries import ConnectionEnded
from holdfast.rendezvous.connector import ConnectionOwner, Connector
from holdfast.rendezvous.websocket import WebSocket
from holdfast.rendezvous.wire import FromServer, Malformed, Nameless, Nameplates, Pong, read
from holdfast.shell.alive import Life
from holdfast.shell.conversation import Conversation
from holdfast.shell.giving_up import GivingUp
from holdfast.shell.news import News
from holdfast.shell.options import Options
from holdfast.shell.patience import Patience
from holdfast.status import Connected, Connecting, Disconnected, Unreachable

MOST_CLOSING_TRIES: Final = 3
"""Connections on which a server may ignore our closing before we leave without its answer."""

MOST_NUMBERS: Final = 100
"""Numbers of our own that are looked for on one list: a server might list them all."""

MOST_UNHEARD: Final = 16
SHORT: Final = 4096
"""So many messages of a server wait in a lull, and so many characters of what was read at once: an
honest one has fewer to echo, and whatever it says otherwise is heard as it comes."""

REMEMBERED_FOR: Final = 600.0
"""Seconds for which a server remembers at least what it had of ours; a stock one does for 660."""


class MakesConnector(Protocol):
    """How a wormhole gets its connector; `Dialer`-backed in real life, anything in a test."""

    def __call__(self, url: str, owner: ConnectionOwner, /) -> Connector:
        """Make one for `url` that tells `owner`."""
        ...


class Hears(Protocol):
    """The wormhole, as far as its contact knows it."""

    def heard(self, heard: Sequence[FromServer], conversation: Conversation) -> None:
        """Call `Contact.hear` with each, in order: the server said all this at once."""
        ...

    def outside(self, *events: ev.Event | None) -> None:
        """`events` come from outside, together; None if there is only something to be said."""
        ...

    def listed(self, nameplates: AbstractSet[str]) -> None:
        """The server has these nameplates, as it says because we asked."""
        ...


class Contact:
    """What a connector tells (`holdfast.rendezvous.connector.ConnectionOwner`), made into events.

    Args:
        hears: the wormhole that the events happen to.
        saved: its state, to look at; its server's URL; when the server was last heard.
        connector: makes what keeps us connected.
        news: hears how the connection stands.
        life: whether the wormhole continues.
        options: what its application asked for.
    """

    __slots__ = (
        "_connector",
        "_failure",
        "_giving_up",
        "_hears",
        "_life",
        "_news",
        "_options",
        "_patience",
        "_unheard",
        "conversation",
        "exchange",
        "heard_at",
        "relay_url",
    )

    def __init__(
        self,
        hears: Hears,
        saved: SavedWormhole,
        connector: MakesConnector,
        news: News,
        life: Life,
        options: Options,
    ) -> None:
        self._hears = hears
        self._news = news
        self._life = life
        self._options = options
        self._patience: Patience | None = None
        self._giving_up: GivingUp | None = None
        self._failure: BaseException | None = None
        self._unheard: tuple[FromServer, ...] = ()
        self.exchange = saved.exchange
        """The state, to look at."""
        self.relay_url = saved.relay_url
        """Of the server."""
        self.heard_at = saved.heard_at
        """When the server last showed that it had something of ours, in seconds since the epoch;
        or None."""
        self.conversation: Conversation | None = None
        """The present connection, or None."""
        self._connector = connector(saved.relay_url, self)

    # What the wormhole asks.

    def no_server(self, words: str) -> ServerConnectionError:
        """Return the error of a first attempt that failed and was to be the only one."""
        # The exception itself is not saved: after a resume only its words are left.
        failure = ConnectionError(words) if self._failure is None else self._failure
        return ServerConnectionError(self.relay_url, failure, words)

    def start(self) -> None:
        """Connect."""
        self._news.connection(Connecting(self.relay_url))
        self._connector.start()

    def stop(self) -> Deferred[None]:
        """Hang up. Fires when the connection is down."""
        if self._patience is not None:
            self._patience.stop()
        return self._connector.stop()

    def begin_anew(self, conversation: Conversation) -> None:
        """End this connection, and have the next one at once."""
        if conversation is self.conversation and not conversation.hurried:
            conversation.hurried = True
            conversation.drop("the mailbox server has forgotten our mailbox; going to a new one")

    def progress(self) -> None:
        """Note that something happened: a server that closes with us is not mute."""
        if self._patience is not None:
            self._patience.progress()

    def wait(self) -> None:
        """Begin to limit the server's time: we are closing, and it must say something."""
        clock = self._options.clock
        if clock is not None and self.conversation is not None:
            if self._patience is None:
                self._patience = Patience(clock, self._out_of_patience, self._is_paused)
            self._patience.start()

    def hear(
        self,
        said: FromServer,
        conversation: Conversation,
        happen: Callable[[ev.Event | None], object],
    ) -> None:
        """Make events of one thing that the server has said, and call `happen` with each.

        What it means depends on what has happened before it, so `happen` is called at once; with
        None if nothing happens, but there may be something to be said.
        """
        if self._life.is_over or conversation is not self.conversation:
            return
        if isinstance(said, ev.Welcomed):
            if not conversation.welcomed and self._is_in_doubt(conversation):
                happen(ev.LongAbsence())
            conversation.welcomed = True
            self._connector.welcomed()
            self._news.connection(Connected(self.relay_url))
        elif not conversation.welcomed and not isinstance(said, ev.Refused | ev.ServerMisbehaved):
            return
        if isinstance(said, ev.Allocated | ev.Claimed | ev.MessageArrived):
            conversation.lately = True
        if conversation.lately:
            self.heard_at = self._options.now()
        if isinstance(said, Nameplates):
            self._hears.listed(said.nameplates)
            self._look_up(said.nameplates, conversation, happen)
        elif isinstance(said, Pong):
            conversation.said.caught_up = True
            happen(ev.MailboxMissing() if missing(self.exchange, conversation.said) else None)
        elif isinstance(said, Nameless):
            conversation.others += 1
        else:
            if isinstance(said, ev.MessageArrived):
                conversation.said.hear(said, self.exchange)
                conversation.others += said.side != self.exchange.side
            happen(said)

    def _look_up(
        self,
        nameplates: AbstractSet[str],
        conversation: Conversation,
        happen: Callable[[ev.Event | None], object],
    ) -> None:
        """Say whether our nameplate is on the list; and so of each that then takes its place."""
        for _ in range(MOST_NUMBERS):
            nameplate = self.exchange.nameplate
            asked = nameplate.data.nameplate
            if not nameplate.is_in("doubtful", "yielded"):
                return
            happen(ev.NameplateListed(asked in nameplates, conversation.lately))
            if asked not in nameplates:
                # What is claimed now, and perhaps not answered, is ours from now on.
                conversation.lately = True
                self.heard_at = self._options.now()
            if self.exchange.nameplate.data.nameplate == asked:
                return

    def _is_in_doubt(self, conversation: Conversation) -> bool:
        """Note, before anything is said, whether the server may have forgotten us.

        Returns:
            Whether that leaves a claim of ours in doubt.
        """
        state = self.exchange.nameplate.state
        since = None if self.heard_at is None else self._options.now() - self.heard_at
        # If the clock was set back, it tells nothing.
        lately = since is not None and 0 <= since < REMEMBERED_FOR
        conversation.lately = lately or state in ("none", "wanted")
        return state == "claiming" and not conversation.lately

    # What the connector calls.

    def connected(self, link: WebSocket) -> None:
        """A connection is up; the server is about to welcome us."""
        self.conversation = Conversation(link, self._news)

    def received(self, texts: Sequence[str]) -> None:
        """The server said something."""
        heard = [said for text in texts if (said := _read(text)) is not None]
        if not heard or self.conversation is None:
            return
        lull = self._options.lull
        is_little = len(self._unheard) < MOST_UNHEARD and sum(map(len, texts)) <= SHORT
        if lull is None or not is_little or not self._may_wait(heard):
            self._hears.heard(heard, self.conversation)
            return
        if not self._unheard:
            lull.at_end(self._hear_rest)
        self._unheard += tuple(heard)

    def disconnected(self, reason: ConnectionEnded) -> None:
        """The connection is gone."""
        conversation = self.conversation
        if conversation is not None:
            conversation.end()
            self._hear_rest()
        self.conversation = None
        if self._patience is not None:
            self._patience.pause()
        self._news.connection(Disconnected(self.relay_url, reason.reason))
        if self._giving_up is None:
            self._giving_up = GivingUp(self.exchange)
        asked = conversation is not None and conversation.has_closed
        if asked and self.exchange.mailbox.state == "closing":
            cut = self._giving_up.closing_was_cut()
            if cut is not None:
                self._hears.outside(cut)
        futile = self._giving_up.stuck(conversation, reason)
        # After that the next connection is for taking leave.
        self._hears.outside(ev.ConnectionLost() if futile is None else futile)
        if conversation is not None and conversation.hurried:
            self._connector.retry_now()

    def failed(self, reason: ConnectionEnded, retry_in: float) -> None:
        """No connection could be made this time."""
        first = self._news.first_attempt
        self._news.connection(Unreachable(self.relay_url, reason.reason, retry_in))
        if first and self._options.first_failure_is_final:
            self._failure = reason.cause
            self._hears.outside(ev.NoServer(reason.reason))
        self._hears.outside(ev.ConnectionLost())

    # What may wait (`lull`).

    def _may_wait(self, heard: Sequence[FromServer]) -> bool:
        """Whether nothing follows from this, for now."""
        exchange, options = self.exchange, self._options
        if options.careful or options.timing is not None:
            return False
        if not exchange.well or exchange.code.data.untold:
            return False  # our closing, or the code, waits for an echo
        return all(
            isinstance(said, ev.NameplateReleased)
            or (isinstance(said, ev.MessageArrived) and said.side == exchange.side)
            for said in heard
        )

    def take_unheard(self) -> tuple[FromServer, ...]:
        """Return what waits to be heard, which waits no longer."""
        unheard, self._unheard = self._unheard, ()
        return unheard

    def _hear_rest(self) -> None:
        if self._unheard and self.conversation is not None:
            self._hears.heard((), self.conversation)

    # What patience calls.

    def _is_paused(self) -> bool:
        return self.conversation is not None and self.conversation.is_paused

    def _out_of_patience(self, tries: int) -> None:
        """The server does not answer while we close: cut the connection, in the end for good."""
        if self.conversation is not None:
            self.conversation.drop("the server does not answer")
        if tries >= MOST_CLOSING_TRIES:
            mute = ev.ServerMisbehaved("the server does not answer our closing")
            self._hears.outside(mute, ev.ConnectionLost())


def _read(text: str) -> FromServer | None:
    try:
        return read(text)
    except Malformed as error:
        return ev.ServerMisbehaved(str(error))
