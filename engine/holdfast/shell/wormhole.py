"""The wormhole that applications hold: their face of the shell around the core's `Exchange`.

The shell alone touches the world. It draws the randomness, enters the journal around each event,
calls the delegate, asks `wanted` what to say, and queues that behind the journal's commit.
`holdfast.shell.happening` explains how; here are the methods that applications call, and the checks
of what they pass.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from holdfast import errors
from holdfast.codes import validate
from holdfast.codes.numbers import FEWEST_DIGITS, MOST_DIGITS
from holdfast.core import checkpoint
from holdfast.core import events as ev
from holdfast.core import notices as out
from holdfast.core.documents import copied
from holdfast.core.exchange import Exchange
from holdfast.crypto import OVERHEAD, derive
from holdfast.rendezvous.wire import LONGEST_BODY
from holdfast.shell.contact import MakesConnector
from holdfast.shell.happening import Happening
from holdfast.shell.options import Options
from holdfast.shell.typing.helper import InputHelper
from holdfast.shell.typing.typed import TypingCode
from holdfast.status import DilationStatus
from holdfast_journal import IJournal

if TYPE_CHECKING:
    from holdfast.dilation.dilated import DilatedWormhole
    from holdfast.transit.keys import Role
    from holdfast.transit.transit import TransitReceiver, TransitSender

LONGEST_MESSAGE = LONGEST_BODY - OVERHEAD
"""Bytes of the longest message that may be sent: 4,193,752."""

TRANSIT_PURPOSE: Final = "lothar.com/wormhole/text-or-file-xfer/transit-key"
"""What the key of Transit is derived for (file-transfer-protocol.md, "Sender")."""


class DelegatedWormhole:
    """A wormhole that tells a delegate what happens.

    Made by `holdfast.create` or `holdfast.from_serialized`. Every method may be called from
    inside every method of the delegate; what it does is then part of the same journal entry.

    The delegate's methods, each of which it may leave out, in the order in which they come:
    `wormhole_got_welcome(dict)`, `wormhole_got_code(str)`, `wormhole_got_unverified_key(bytes)`,
    `wormhole_got_verifier(bytes)`, `wormhole_got_versions(dict)`, `wormhole_got_message(bytes)`
    for each message, and `wormhole_closed(result)`, once: the string "happy", or an exception.
    About dilation, see `dilate`: `wormhole_dilated(dilated)` and `wormhole_cannot_dilate(error)`.
    """

    # Thousands wait at once, and each of their objects counts.
    __slots__ = ("__weakref__", "_happening")

    def __init__(  # noqa: PLR0913 - what a wormhole is resumed from
        self,
        relay_url: str,
        exchange: Exchange,
        delegate: object,
        journal: IJournal,
        connector: MakesConnector,
        *,
        pending: out.Notices = (),
        heard_at: float | None = None,
        dilation: dict[str, Any] | None = None,
        options: Options = Options(),  # noqa: B008 - it is frozen
    ) -> None:
        saved = checkpoint.SavedWormhole(relay_url, exchange, pending, heard_at, dilation)
        self._happening = Happening(saved, delegate, journal, connector, options)

    def start(self) -> None:
        """Begin or resume: tell the delegate what it was not told, and connect."""
        self._happening.begin()
        if not self.exchange.ended and not self._happening.life.is_over:
            self._happening.contact.start()

    def abandon(self) -> None:
        """Let go of the connection and stay silent; the checkpoint is all that is left."""
        self._happening.abandon()

    def on_down(self, call: Callable[[], object]) -> None:
        """Have `call` called when the wormhole has ended and its connection is down."""
        self._happening.life.on_down(call)

    def when_down(self) -> Deferred[None]:
        """Return a Deferred that fires when the wormhole has ended and its connection is down."""
        waiting: Deferred[None] = Deferred()
        self.on_down(lambda: waiting.callback(None))
        return waiting

    # What applications call.

    def allocate_code(
        self, length: int = 2, *, code_length: int | None = None, number_digits: int = 0
    ) -> None:
        """Ask the mailbox server for a nameplate, and make a code of `length` random words.

        Args:
            length: how many words, 1 to 100.
            code_length: a synonym of `length`.
            number_digits: if not 0, the nameplate is a random number of 6 to 12 digits that the
                server's list does not have, instead of one that the server gives.

        Raises:
            OnlyOneCodeError: this wormhole has a code, or has asked for one.
            WormholeClosed: it has begun to close; or the WormholeError that it ended with.
            TypeError, ValueError: `length` or `number_digits` is not such a number.
        """
        words = length if code_length is None else code_length
        if type(words) is not int:
            raise TypeError("length is a number of words")
        if not 1 <= words <= 100:
            raise ValueError("a code has 1 to 100 words")
        if type(number_digits) is not int:
            raise TypeError("number_digits is a number of digits")
        if number_digits and not FEWEST_DIGITS <= number_digits <= MOST_DIGITS:
            raise ValueError(f"a number of ours has {FEWEST_DIGITS} to {MOST_DIGITS} digits")
        self._only_one_code()
        discreet = self._happening.options.discreet
        self._happening.happen(ev.AllocateCode(words, discreet, number_digits))

    def set_code(self, code: str, *, again: bool = False) -> None:
        """Use the code that the other side has too.

        Args:
            code: the code.
            again: whether this side gave it out for an earlier wormhole, which is closed. Then its
                number is claimed only if no other client has it; otherwise the wormhole ends in
                CodeLostError.

        Raises:
            KeyFormatError: it is malformed; the wormhole may still be given another.
            OnlyOneCodeError: this wormhole has a code, or has asked for one.
            WormholeClosed: it has begun to close; or the WormholeError that it ended with.
            TypeError: it is not a string.
        """
        if not isinstance(code, str):
            raise TypeError("a code is text")
        code = validate(code)
        self._only_one_code()
        self._happening.happen(ev.SetCode(code, self._happening.options.discreet, again))

    def _check_open(self) -> None:
        """Raise the reason if no code can be had any more."""
        if not self.exchange.well:
            ending = self._happening.ending
            if isinstance(ending, str | errors.LonelyError):
                raise errors.WormholeClosed
            raise ending
        if self._happening.life.is_over:
            raise errors.WormholeClosed

    def _only_one_code(self) -> None:
        self._check_open()
        if self.exchange.code.state != "unset":
            raise errors.OnlyOneCodeError

    def input_code(self) -> InputHelper:
        """Let a person type the code; the helper completes nameplates and words.

        The server is asked for its nameplates at once, as with `refresh_nameplates`.

        Raises:
            OnlyOneCodeError: this wormhole has a code, or has asked for one.
            WormholeClosed: it has begun to close; or the WormholeError that it ended with.
        """
        happening = self._happening
        if happening.typing is None:
            happening.typing = TypingCode(
                self.exchange,
                happening.journal,
                happening.happen,
                self._check_open,
                lambda: self._happening.contact.conversation,
            )
        if not happening.typing.is_to_be_resumed:
            self._only_one_code()
            happening.happen(ev.TypeCode(self._happening.options.discreet))
        return happening.typing.begin()

    def send_message(self, message: bytes) -> None:
        """Send `message` to the peer, now or once it is there; never before it has proved itself.

        If the wormhole has begun to close, the message goes nowhere.

        Raises:
            ValueError: it is longer than 4,193,752 bytes. On its way a message is sealed, and
                twice as long in hexadecimal digits, and some servers cut the connection of
                a client that sends more than 8 MiB at once.
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
        if not self._is_closing:
            self._happening.happen(ev.SendMessage(message))

    def derive_key(self, purpose: str, length: int = 32) -> bytes:
        """Return `length` bytes (1 to 8160) that only the two sides can derive for `purpose`.

        Raises:
            NoKeyError: there is no key yet.
        """
        if not isinstance(purpose, str):
            raise TypeError("a purpose is text")
        if type(length) is not int:
            raise TypeError("a length is a number of bytes")
        key = self.exchange.shared_key
        if key is None:
            raise errors.NoKeyError
        return derive(key, purpose, length)

    def create_transit(
        self, role: Role, transit_relay: str | None = None, *, no_listen: bool = False
    ) -> TransitSender | TransitReceiver:
        """Make what connects the two sides for bulk data, with a key of this wormhole.

        The wormhole need not stay open. What goes through Tor is what the wormhole's own connection
        does.

        Args:
            role: "sender" or "receiver"; the peer has the other one.
            transit_relay: our relay, as `tcp:HOST:PORT`, or None.
            no_listen: whether nobody may connect to us.

        Raises:
            NoKeyError: there is no key yet.
            ValueError: `role` or `transit_relay` is something else.
        """
        from holdfast.transit.transit import TransitReceiver, TransitSender  # few use it

        if role not in ("sender", "receiver"):
            raise ValueError('role is "sender" or "receiver"')
        key = self.derive_key(TRANSIT_PURPOSE)
        options = self._happening.options
        kind = TransitSender if role == "sender" else TransitReceiver
        made = kind(transit_relay, no_listen, options.tor, options.clock)
        made.set_transit_key(key)
        return made

    def dilate(
        self,
        transit_relay_location: str | None = None,
        no_listen: bool = False,  # noqa: FBT001, FBT002 - as the stock library has it
        on_status_update: Callable[[DilationStatus], object] | None = None,
        ping_interval: float | None = None,
        expected_subprotocols: Iterable[str] | None = None,
        *,
        peer_timeout: float | None = None,
    ) -> DilatedWormhole:
        """Connect to the peer directly, for any number of subchannels.

        The connection is made as soon as the peer has dilated too, and made again whenever it is
        lost. With a journal, the subchannels survive this process: the delegate of the resumed
        wormhole is told `wormhole_dilated(dilated)` before anything else. Otherwise it is told
        when there is a first connection. If the peer cannot dilate, or is given up, it is told
        `wormhole_cannot_dilate(error)`; messages go on.

        Closing the wormhole closes every subchannel first.

        Args:
            transit_relay_location: our relay, as `tcp:HOST:PORT`, or None.
            no_listen: whether nobody may connect to us.
            on_status_update: called with a `DilationStatus`; not after a resume.
            ping_interval: seconds between two pings; 30 by default.
            expected_subprotocols: the names that the peer may open; None for all.
            peer_timeout: seconds without a connection after which the peer is given up; None to
                wait for ever.

        Raises:
            CanOnlyDilateOnceError: it is dilated already.
            DilationNotOfferedError: the peer was told that we do not dilate.
            WormholeClosed: it has begun to close; or the WormholeError that it ended with.
            ValueError: the relay or a time is malformed.
            TypeError: an argument has the wrong type.
        """
        from holdfast.shell.dilating import dilate, options  # few use it

        self._check_open()
        if self._happening.dilation is not None:
            raise errors.CanOnlyDilateOnceError
        if not self.exchange.talk.may_dilate:
            raise errors.DilationNotOfferedError
        asked = options(
            transit_relay_location,
            no_listen=no_listen,
            ping_interval=ping_interval,
            expected_subprotocols=expected_subprotocols,
            peer_timeout=peer_timeout,
        )
        return dilate(self._happening, asked, on_status_update)

    def close(self) -> None:
        """End the wormhole; everything sent so far still arrives.

        The delegate's `wormhole_closed` is called when nothing of ours is left on the server.
        Closing twice is closing once. If the application's own exception was raised to it where
        it called us, `wormhole_closed` is called with that exception.
        """
        life = self._happening.life
        failure, life.failure = life.failure, None
        if failure is not None:
            self._happening.tell_failure(failure)
        dilation = self._happening.dilation
        if dilation is None or not self.exchange.well:
            self._happening.happen(ev.Close())
        elif not dilation.is_closing:
            self._happening.enter(dilation.close)

    @property
    def _is_closing(self) -> bool:
        """Whether it was closed, and its subchannels are being closed first."""
        dilation = self._happening.dilation
        return dilation is not None and dilation.is_closing

    @property
    def is_dilated(self) -> bool:
        """Whether there is, or is to be, a connection to the peer."""
        dilation = self._happening.dilation
        is_wanted = dilation is not None and not dilation.is_gone
        return is_wanted and bool(self.exchange.talk.can_dilate)

    def serialize(self) -> dict[str, Any]:
        """Return the wormhole as a JSON-able dictionary, for `holdfast.from_serialized`.

        It holds secrets. After resuming, the delegate is told only what it has not been told yet.
        The document must be resumed only once.
        """
        saved = self._saved()
        saved["exchange"] |= {
            name: copied(saved["exchange"][name]) for name in ("versions", "welcome")
        }
        return saved

    def _saved(self) -> dict[str, Any]:
        contact = self._happening.contact
        dilation = self._happening.dilation
        return checkpoint.save(
            contact.relay_url,
            self.exchange,
            self._happening.pending,
            contact.heard_at,
            None if dilation is None else dilation.save(),
        )

    def settle(self) -> None:
        """Make what was done to subchannels part of the journal's `process()` that is open.

        Call it last there, unless the wormhole itself has entered it. Otherwise it would be part of
        a later commit than the application's own data.
        """
        self._happening.settle()

    def take_shown(self) -> list[tuple[int, bytes]]:
        """Take messages that are done out of the wormhole, with their numbers; see `kept`.

        Call it inside the journal's `process()`, whose commit keeps them and the document.
        """
        taken = self.exchange.outbox.data.take_shown()
        if taken:
            self._happening.document = None
        return taken

    def document(self) -> str:
        """Return `serialize` as JSON text, which is kept until something happens."""
        kept, heard_at = self._happening.document, self._happening.contact.heard_at
        if kept is None or kept[1] != heard_at:
            kept = self._happening.document = json.dumps(self._saved()), heard_at
        return kept[0]

    @property
    def exchange(self) -> Exchange:
        """The state, to look at; only events change it."""
        return self._happening.exchange

    @property
    def is_connected(self) -> bool:
        """Whether a server has welcomed us and is there still."""
        conversation = self._happening.contact.conversation
        return conversation is not None and conversation.welcomed

    @property
    def others_heard(self) -> int:
        """How many messages of other sides the mailbox has shown on this connection."""
        conversation = self._happening.contact.conversation
        return 0 if conversation is None else conversation.others

    @property
    def is_resting(self) -> bool:
        """Whether the server has shown us all that it holds, and we only wait for the peer."""
        conversation = self._happening.contact.conversation
        up_to_date = conversation is not None and conversation.said.caught_up
        if conversation is None or conversation.fetching:
            return False
        return up_to_date and not self._happening.pending and self.exchange.is_resting


def hears_of_dilation(delegate: object) -> bool:
    """Whether a wormhole of this delegate is to be dilated; one that hears everything tells not."""
    return hasattr(type(delegate), "wormhole_dilated")
