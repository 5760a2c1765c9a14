"""A wormhole's contact with its server: one connection after another, and what is heard on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, Protocol

from twisted.internet.defer import Deferred

from holdfast.core import events as ev
from holdfast.core.exchange import Exchange
from holdfast.core.frames import Add
from holdfast.core.wanted import missing
from holdfast.errors import ServerConnectionError
from holdfast.rendezvous.boundaries import ConnectionEnded, Fault
from holdfast.rendezvous.connector import Connector, Owner
from holdfast.rendezvous.websocket import WebSocket
from holdfast.rendezvous.wire import FromServer, Malformed, Nameplates, Pong, read, write
from holdfast.shell.conversation import Conversation
from holdfast.shell.news import News
from holdfast.shell.patience import Clock, Patience
from holdfast.status import Connected, Connecting, Disconnected, Unreachable

MOST_CLOSING_TRIES: Final = 3
"""Connections on which a server may ignore our closing before we leave without its answer."""

MOST_CUT_CLOSINGS: Final = 5
"""Connections that may be lost between our closing and its answer before we call it an answer."""

MOST_CUTS: Final = 10
"""Connections in a row that may end at the same message before we call that an answer. The pauses
between them grow, so that a server has more than a minute to recover."""

REMEMBERED_FOR: Final = 600.0
"""Seconds for which a server remembers what it had of ours at least: a stock one, for 660."""


class MakesConnector(Protocol):
    """How a wormhole gets its connector; `Dialer`-backed in real life, anything in a test."""

    def __call__(self, url: str, owner: Owner, /) -> Connector:
        """Make one for `url` that tells `owner`."""
        ...


class Hears(Protocol):
    """The wormhole, as far as its contact knows it."""

    def outside(self, events: Iterable[ev.Event | None]) -> None:
        """`events` come from outside, together; None if there is only something to be said.

        Each is asked for when the one before has happened.
        """
        ...

    def listed(self, nameplates: AbstractSet[str]) -> None:
        """The server was asked which nameplates there are, and has these."""
        ...


class Contact:
    """What a connector tells (`holdfast.rendezvous.connector.Owner`), made into events.

    Args:
        hears: whom the events happen to.
        exchange: its state, to look at.
        relay_url: the server's URL.
        connector: makes what keeps us connected.
        news: hears how the connection stands.
        clock: Twisted's reactor, or None for endless patience.
        now: the time, in seconds since the epoch.
        heard_at: when the server last showed that it had something of ours, or None.
        first_failure_is_final: whether a server that is not there at first ends the wormhole.
    """

    __slots__ = (
        "_clock",
        "_connector",
        "_cut_closings",
        "_exchange",
        "_failure",
        "_first_failure_is_final",
        "_hears",
        "_hurried",
        "_news",
        "_now",
        "_over",
        "_patience",
        "_relay_url",
        "_stuck",
        "conversation",
        "heard_at",
    )

    def __init__(
        self,
        hears: Hears,
        exchange: Exchange,
        relay_url: str,
        connector: MakesConnector,
        news: News,
        *,
        clock: Clock | None,
        now: Callable[[], float],
        heard_at: float | None,
        first_failure_is_final: bool,
    ) -> None:
        self._hears = hears
        self._exchange = exchange
        self._relay_url = relay_url
        self._news = news
        self._first_failure_is_final = first_failure_is_final
        self._clock = clock
        self._patience: Patience | None = None
        self._now = now
        self._cut_closings = 0
        self._stuck: tuple[str, int] | None = None
        self._hurried = False
        self._over = False
        self._failure: BaseException | None = None
        self.heard_at = heard_at
        """When the server last showed that it had something of ours."""
        self.conversation: Conversation | None = None
        """The present connection, or None."""
        self._connector = connector(relay_url, self)

    # What the wormhole asks.

    @property
    def exchange(self) -> Exchange:
        """The state, to look at."""
        return self._exchange

    def no_server(self, words: str) -> ServerConnectionError:
        """Return the error of a first attempt that failed and was to be the only one."""
        # The exception itself is not saved: in another life nothing is left of it but its words.
        failure = ConnectionError(words) if self._failure is None else self._failure
        return ServerConnectionError(self._relay_url, failure, words)

    def start(self) -> None:
        """Connect."""
        self._news.connection(Connecting(self._relay_url))
        self._connector.start()

    def end(self) -> None:
        """Hear nothing more, and say nothing but what waits for its commit."""
        self._over = True

    def stop(self) -> Deferred[None]:
        """Hang up. Fires when the connection is down."""
        self._over = True
        if self._patience is not None:
            self._patience.stop()
        return self._connector.stop()

    def begin_anew(self, conversation: Conversation) -> None:
        """End this connection, and have the next one at once."""
        if conversation is self.conversation and not self._hurried:
            self._hurried = True
            conversation.drop("the mailbox server has forgotten our mailbox; going to a new one")

    def progress(self) -> None:
        """Something happened: a server that closes with us is not mute."""
        if self._patience is not None:
            self._patience.progress()

    def wait(self) -> None:
        """We are closing: from now on the server has so much time to say something."""
        if self._clock is not None and self.conversation is not None:
            if self._patience is None:
                self._patience = Patience(self._clock, self._out_of_patience, self._is_paused)
            self._patience.start()

    # What the connector calls.

    def connected(self, link: WebSocket) -> None:
        """A connection is up; the server is about to welcome us."""
        self.conversation = Conversation(link, self._news.sent)

    def received(self, texts: Sequence[str]) -> None:
        """The server said something."""
        heard = [said for text in texts if (said := _read(text)) is not None]
        conversation = self.conversation
        if heard and conversation is not None:
            self._hears.outside(self._events(heard, conversation))

    def _events(
        self, heard: Iterable[FromServer], conversation: Conversation
    ) -> Iterator[ev.Event | None]:
        """What this means, one after another."""
        for said in heard:
            if self._over or conversation is not self.conversation:
                return
            if isinstance(said, ev.Welcomed):
                if not conversation.welcomed and self._look_back(conversation):
                    yield ev.LongAbsence()
                conversation.welcomed = True
                self._connector.welcomed()
                self._news.connection(Connected(self._relay_url))
            elif not conversation.welcomed and not isinstance(
                said, ev.Refused | ev.ServerMisbehaved
            ):
                continue
            if isinstance(said, ev.Allocated | ev.Claimed | ev.MessageArrived):
                conversation.lately = True
            if conversation.lately:
                self.heard_at = self._now()
            if isinstance(said, Nameplates):
                self._hears.listed(said.nameplates)
                nameplate = self._exchange.nameplate
                if nameplate.is_in("doubtful", "yielded"):
                    taken = nameplate.data.nameplate in said.nameplates
                    yield ev.NameplateListed(taken, conversation.lately)
            elif isinstance(said, Pong):
                conversation.said.caught_up = True
                gone = missing(self._exchange, conversation.said)
                yield ev.MailboxMissing() if gone else None
            else:
                if isinstance(said, ev.MessageArrived):
                    conversation.said.hear(said, self._exchange)
                yield said

    def _look_back(self, conversation: Conversation) -> bool:
        """Note, before anything is said, whether the server may have forgotten us.

        Returns:
            Whether that leaves a claim of ours in doubt.
        """
        state = self._exchange.nameplate.state
        since = None if self.heard_at is None else self._now() - self.heard_at
        # A clock that was set back tells nothing.
        lately = since is not None and 0 <= since < REMEMBERED_FOR
        conversation.lately = lately or state in ("none", "wanted")
        return state == "claiming" and not conversation.lately

    def disconnected(self, reason: ConnectionEnded) -> None:
        """The connection is gone."""
        conversation, self.conversation = self.conversation, None
        if conversation is not None:
            conversation.end()
        if self._patience is not None:
            self._patience.pause()
        self._news.connection(Disconnected(self._relay_url, reason.reason))
        asked = conversation is not None and conversation.has_closed
        if asked and self._exchange.mailbox.state == "closing":
            self._closing_was_cut()
        futile = self._stuck_for_good(conversation, reason)
        # After that the next connection is for taking leave.
        self._hears.outside((ev.ConnectionLost() if futile is None else futile,))
        hurried, self._hurried = self._hurried, False
        if hurried:
            self._connector.retry_now()

    def failed(self, reason: ConnectionEnded, retry_in: float) -> None:
        """No connection could be made this time."""
        first = self._news.first_attempt
        self._news.connection(Unreachable(self._relay_url, reason.reason, retry_in))
        if first and self._first_failure_is_final:
            self._failure = reason.cause
            self._hears.outside((ev.NoServer(reason.reason),))
        self._hears.outside((ev.ConnectionLost(),))

    def _closing_was_cut(self) -> None:
        """A closing was not answered; some never are.

        The stock server cuts the connection of the last side that closes, every time, if the other
        side has closed without releasing its nameplate.
        """
        self._cut_closings += 1
        if self._cut_closings >= MOST_CUT_CLOSINGS:
            reason = "the server cuts every connection on which we close"
            self._hears.outside((ev.ServerMisbehaved(reason),))

    def _stuck_for_good(
        self, conversation: Conversation | None, reason: ConnectionEnded
    ) -> ev.ServerMisbehaved | None:
        """Return what to say of a server with which no further connection would get further."""
        where = self._stuck_at(conversation, reason)
        if where is None:
            self._stuck = None
            return None
        times = self._stuck[1] + 1 if self._stuck is not None and self._stuck[0] == where else 1
        self._stuck = where, times
        if reason.fault is Fault.TOO_LONG_FOR_THEM:
            return ev.ServerMisbehaved(f"the server does not take {where}: {reason.reason}")
        if times < MOST_CUTS:
            return None
        return ev.ServerMisbehaved(
            f"{times} connections in a row ended at {where}: {reason.reason}"
        )

    def _stuck_at(self, conversation: Conversation | None, reason: ConnectionEnded) -> str | None:
        """Return what a connection ended at, in words, if it got as far as one can without it.

        A server whose disk is full serves nobody, and is waited for. One that has just shown us
        the whole mailbox, and is gone at our next message, may have something against that.
        """
        if reason.fault is Fault.UNACCEPTABLE:
            return "what the server sends"
        if conversation is None or not (conversation.has_added and conversation.said.caught_up):
            return None
        sent = self._exchange.outbox.data.sent
        first = next((message for message in sent if not message.echoed), None)
        if first is None:
            return None
        size = len(write(Add(first.phase, first.body), "0000"))
        return f"our message {first.phase!r} of {size:,} bytes"

    def _is_paused(self) -> bool:
        return self.conversation is not None and self.conversation.is_paused

    def _out_of_patience(self, tries: int) -> None:
        """The server does not answer while we close: cut the connection, in the end for good."""
        if self.conversation is not None:
            self.conversation.drop("the server does not answer")
        if tries >= MOST_CLOSING_TRIES:
            mute = ev.ServerMisbehaved("the server does not answer our closing")
            self._hears.outside((mute, ev.ConnectionLost()))


def _read(text: str) -> FromServer | None:
    try:
        return read(text)
    except Malformed as error:
        return ev.ServerMisbehaved(str(error))
