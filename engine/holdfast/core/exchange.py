"""A wormhole as a value: one event at a time in, notices for the application out.

An exchange is seven small machines, each in a module of its own, in three groups, and this parent.
Only the parent knows them all: it hands each event to the machines that it concerns, and carries
the effects from one machine to the next. No machine holds a reference to another.

    meeting: code -> nameplate -> mailbox        how the two sides find each other
    talk: key, outbox, inbox                     what they say there
    lifecycle                                    how well it goes, and how it ends

After an exception from `apply` the exchange must be thrown away and restored from its last
checkpoint, because Automat moves a machine's state before the transition's behaviour runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self

from attrs import Factory, define, field

from holdfast.codes import make
from holdfast.codes.numbers import ENTROPY, long_number
from holdfast.core import events as ev
from holdfast.core import notices as out
from holdfast.core.code import CodePart
from holdfast.core.code import Effects as CodeEffects
from holdfast.core.documents import copied, structure
from holdfast.core.frames import Frame
from holdfast.core.inbox import InboxPart
from holdfast.core.key import KeyPart
from holdfast.core.lifecycle import LIFECYCLE, Ended, Leave, Lifecycle, LifecyclePart
from holdfast.core.lifecycle import Effects as LifecycleEffects
from holdfast.core.mailbox import MailboxPart
from holdfast.core.meeting import Meeting
from holdfast.core.nameplate import NameplatePart
from holdfast.core.outbox import OutboxPart
from holdfast.core.parts import PARTS, SavedExchange
from holdfast.core.talk import Distrusted, PeerFailed, Proved, Talk
from holdfast.core.talk import Effects as TalkEffects
from holdfast.crypto import Entropy
from holdfast.errors import OnlyOneCodeError


@define
class Exchange:
    """The whole state of a wormhole.

    Args:
        appid: the application's identifier, the same on both sides.
        side: this side's name in the mailbox, fresh for each wormhole and the same for its life.
        versions: what the peer gets as our versions, JSON values.
        welcome: the server's last welcome, or None.
    """

    appid: str
    side: str
    versions: Mapping[str, Any] = field(factory=dict, repr=False)
    welcome: Mapping[str, Any] | None = None
    meeting: Meeting = field(factory=Meeting)
    talk: Talk = Factory(lambda self: Talk(self.appid, self.side, self.versions), takes_self=True)
    lifecycle: LifecyclePart = field(factory=lambda: LIFECYCLE.begin(Lifecycle()))

    # What callers may ask.

    @property
    def code(self) -> CodePart:
        """How it gets its code."""
        return self.meeting.code

    @property
    def nameplate(self) -> NameplatePart:
        """Its claim on the nameplate."""
        return self.meeting.nameplate

    @property
    def mailbox(self) -> MailboxPart:
        """Its side of the mailbox."""
        return self.meeting.mailbox

    @property
    def key(self) -> KeyPart:
        """How far the key agreement is."""
        return self.talk.key

    @property
    def outbox(self) -> OutboxPart:
        """What it tells the peer."""
        return self.talk.outbox

    @property
    def inbox(self) -> InboxPart:
        """What the peer tells it."""
        return self.talk.inbox

    @property
    def ended(self) -> bool:
        """Whether it is over: nothing more will happen."""
        return self.lifecycle.state == "ended"

    @property
    def well(self) -> bool:
        """Whether it has not begun to close."""
        return self.lifecycle.is_in("lonely", "happy")

    @property
    def is_resting(self) -> bool:
        """Whether everything of ours is in the mailbox, and the next step is the peer's."""
        return (
            self.well
            and self.mailbox.state == "open"
            and self.nameplate.is_in("claimed", "released")
            and self.key.is_in("started", "agreed", "confirmed")
            and not self.outbox.data.undelivered
        )

    @property
    def has_met(self) -> bool:
        """Whether anything has come from a peer."""
        return not self.key.is_in("fresh", "started")

    @property
    def is_proved(self) -> bool:
        """Whether a peer has proved that it knows the code, whatever came then."""
        return self.key.state == "confirmed"

    @property
    def shared_key(self) -> bytes | None:
        """The key, confirmed or not, once there is one."""
        return bytes.fromhex(self.key.data.key) if self.key.data.key else None

    # What happens.

    def apply(self, event: ev.Event, seed: bytes) -> out.Notices | None:
        """Let `event` happen.

        Args:
            event: what happened.
            seed: 32 fresh random bytes, from which everything random that the event needs is
                drawn; so the same event with the same seed always gives the same outcome.

        Returns:
            What the application is to be told, in order; or None if the event said nothing new,
            in which case the state is as before.

        Raises:
            OnlyOneCodeError: a second code was asked for or set; the state is as before.
        """
        notices = _HANDLERS[type(event)](self, event, Entropy(seed))
        if notices is None:
            return None
        return (*notices, *self._end_if_clear())

    def saying(self, frames: Iterable[Frame]) -> bool:
        """Note what is about to be said, and return whether that changed the state.

        Once we may have asked for a nameplate or claimed one, there may be something of ours on
        the server.
        """
        return self.meeting.saying(frames)

    # From the application.

    def _allocate_code(self, event: ev.AllocateCode, entropy: Entropy) -> out.Notices | None:
        self._only_one_code()
        if event.digits:
            code = _own_code(event.digits, event.length, entropy)
            chosen = self.code.change().choose(code, discreet=event.discreet)
            return self._code_known(chosen, entropy)
        draw = entropy.draw("words", event.length).hex()
        self.code.change().allocate(draw, discreet=event.discreet)
        return ()

    def _set_code(self, event: ev.SetCode, entropy: Entropy) -> out.Notices | None:
        self._only_one_code()
        entered = self.code.change()
        effects = entered.enter(event.code, discreet=event.discreet, again=event.again)
        return self._code_known(effects, entropy)

    def _type_code(self, event: ev.TypeCode, entropy: Entropy) -> out.Notices | None:
        self._only_one_code()
        return self._code_known(self.code.change().type(discreet=event.discreet), entropy)

    def _choose_nameplate(self, event: ev.ChooseNameplate, entropy: Entropy) -> out.Notices | None:
        if self.code.state != "typing":
            return None
        return self._code_known(self.code.change().choose_nameplate(event.nameplate), entropy)

    def _choose_words(self, event: ev.ChooseWords, entropy: Entropy) -> out.Notices | None:
        if self.code.state != "typing_words":
            return None
        return self._code_known(self.code.change().choose_words(event.words), entropy)

    def _only_one_code(self) -> None:
        if self.code.state != "unset":
            raise OnlyOneCodeError

    def _send_message(self, event: ev.SendMessage, entropy: Entropy) -> out.Notices | None:
        if not self.well:
            return None
        self.talk.send(event.plaintext, entropy)
        return ()

    def _dilate(self, event: ev.Dilate, entropy: Entropy) -> out.Notices | None:
        if not self.well or self.inbox.data.dilated or not self.talk.may_dilate:
            return None
        return self._carry(self.talk.dilate())

    def _send_dilation(self, event: ev.SendDilation, entropy: Entropy) -> out.Notices | None:
        return () if self.well and self.talk.say_dilation(event.plaintext, entropy) else None

    def _dilation_seen(self, event: ev.DilationSeen, entropy: Entropy) -> out.Notices | None:
        if not self.well or event.count <= self.outbox.data.dilations_seen:
            return None
        self.outbox.change().seen(event.count)
        return ()

    def _close(self, event: ev.Close, entropy: Entropy) -> out.Notices | None:
        return self._leaving(self.lifecycle.change().close()) if self.well else None

    # From the server.

    def _welcomed(self, event: ev.Welcomed, entropy: Entropy) -> out.Notices | None:
        abandoned = not self.well and self.code.state == "asked"
        if abandoned:
            # The answer was lost with the old connection, and with it the nameplate.
            self.code.change().abandon()
        if self.ended or event.welcome == self.welcome:
            return () if abandoned else None
        self.welcome = event.welcome
        error = event.welcome.get("error")
        if error is not None:
            # Not a welcome at all: callers that wait for one get the error.
            failed = self.lifecycle.change().fail("unwelcome", "WelcomeError", str(error))
            return self._leaving(failed)
        # The application may change its copy.
        return (out.GotWelcome(copied(event.welcome)),)

    def _allocated(self, event: ev.Allocated, entropy: Entropy) -> out.Notices | None:
        if self.code.state != "asked":
            return None
        known = self.code.change().allocated(event.nameplate)
        if self.well:
            return self._code_known(known, entropy)
        # We need it only to give it back.
        self.nameplate.change().want(event.nameplate)
        return ()

    def _claimed(self, event: ev.Claimed, entropy: Entropy) -> out.Notices | None:
        if self.nameplate.state != "claiming":
            return None
        self.meeting.claimed(event.mailbox)
        if not self.well:
            self.meeting.give_back(self.lifecycle.data.mood)
        return ()

    def _message_arrived(self, event: ev.MessageArrived, entropy: Entropy) -> out.Notices | None:
        if self.ended:
            return None
        if event.side == self.side:
            if not self.outbox.data.awaits(event.phase):
                return None  # a mailbox shows everything that was ever said, on every connection
            self.outbox.change().echoed(event.phase)
            return self._code_works() if self.well else ()
        if not self.well or self.mailbox.state != "open":
            return None
        met = self.meeting.met()
        told = self._code_works()  # a peer that answers us has found what we had to put there
        code = self.code.data.code
        heard = self.talk.hear(event.side, event.phase, event.body, code, entropy)
        if heard is None:
            return told if met or told else None
        return (*told, *self._carry(heard))

    def _released(self, event: ev.NameplateReleased, entropy: Entropy) -> out.Notices | None:
        if not self.nameplate.is_in("releasing", "yielding"):
            return None
        self.nameplate.change().released()
        return ()

    def _mailbox_closed(self, event: ev.MailboxClosed, entropy: Entropy) -> out.Notices | None:
        if self.mailbox.state != "closing":
            return None
        self.mailbox.change().closed()
        return ()

    def _refused(self, event: ev.Refused, entropy: Entropy) -> out.Notices | None:
        if self.ended:
            return None
        crowded = event.error == "crowded" and event.about in ("claim", "open", "close")
        kind = "CrowdedError" if crowded else "ServerError"
        if event.about == "close" and self.mailbox.state == "closing":
            # Asking again will not help: a crowded mailbox stays crowded.
            self.mailbox.change().closed()
            if self.well:
                return ()  # it was not the last one
            return self._leaving(self.lifecycle.change().fail("errory", kind, event.error))
        if event.about == "release" and self.nameplate.is_in("releasing", "yielding"):
            self.nameplate.change().released()
            return ()
        if self.lifecycle.state == "leaving" and event.about is not None:
            # A frame that was sent before the first refusal came is refused too.
            return None
        return self._server_failed(event.error, kind)

    def _misbehaved(self, event: ev.ServerMisbehaved, entropy: Entropy) -> out.Notices | None:
        return self._server_failed(event.reason)

    def _server_failed(self, detail: str, kind: str = "ServerError") -> out.Notices | None:
        if self.ended:
            return None
        if self.lifecycle.state == "leaving":
            return self._ending(self.lifecycle.change().give_up())
        return self._leaving(self.lifecycle.change().fail("errory", kind, detail))

    def _no_server(self, event: ev.NoServer, entropy: Entropy) -> out.Notices | None:
        if not self.well:
            return None
        failed = self.lifecycle.change().fail("errory", "ServerConnectionError", event.reason)
        return self._leaving(failed)

    def _connection_lost(self, event: ev.ConnectionLost, entropy: Entropy) -> out.Notices | None:
        if self.lifecycle.state != "leaving":
            return None
        return self._ending(self.lifecycle.change().give_up())

    # When the server may have forgotten something.

    def _long_absence(self, event: ev.LongAbsence, entropy: Entropy) -> out.Notices | None:
        if self.ended or not self.meeting.absent(well=self.well):
            return None
        if not self.well:
            # We only wanted to learn what to give back, and now there is nothing.
            self.meeting.give_back(self.lifecycle.data.mood)
        return ()

    def _mailbox_missing(self, event: ev.MailboxMissing, entropy: Entropy) -> out.Notices | None:
        return () if self.meeting.missing(stored=self.outbox.data.stored) else None

    def _listed(self, event: ev.NameplateListed, entropy: Entropy) -> out.Notices | None:
        if not self.nameplate.is_in("doubtful", "yielded"):
            return None
        if self.meeting.kept(taken=event.taken, lately=event.lately):
            self.nameplate.change().keep()
        elif self.well and self.meeting.may_be_ours(
            taken=event.taken, stored=self.outbox.data.stored
        ):
            self.meeting.yield_()
        elif event.taken:
            self.meeting.lost()
            if self.well and self.meeting.is_replaceable:
                return self._replace_code(entropy)
            if self.well:
                return self._leaving(self.lifecycle.change().fail("errory", "CodeLostError", ""))
        else:
            self.meeting.freed()
            self.outbox.change().missing()
        if not self.well:
            self.meeting.give_back(self.lifecycle.data.mood)
        return ()

    # From one machine to the next.

    def _code_known(self, effects: CodeEffects, entropy: Entropy) -> out.Notices:
        code = self.meeting.know(effects)
        if code is None:
            return ()
        begun = self._carry(self.talk.begin(code, entropy))
        return begun if self.code.data.untold else (out.GotCode(code), *begun)

    def _code_works(self) -> out.Notices:
        """The server has our first message: a peer that enters the code will find us."""
        if self.code.state != "known" or not self.code.data.untold:
            return ()
        self.code.change().tell()
        return (out.GotCode(self.code.data.code),)

    def _replace_code(self, entropy: Entropy) -> out.Notices:
        """The code is lost before the application was told it: make another, of the same length."""
        length = self.code.data.code.count("-")
        digits = self.code.data.digits
        self.talk.begin_anew()
        if not digits:
            self.meeting.replace(entropy.draw("words", length).hex())
            return ()
        self.nameplate.change().drop()
        chosen = self.code.change().choose_again(_own_code(digits, length, entropy))
        return self._code_known(chosen, entropy)

    def _carry(self, effects: TalkEffects) -> out.Notices:
        notices: out.Notices = ()
        for effect in effects:
            if isinstance(effect, Proved):
                self.lifecycle.change().prove()
            elif isinstance(effect, Distrusted):
                notices += self._leaving(self.lifecycle.change().distrust())
            elif isinstance(effect, PeerFailed):
                failed = self.lifecycle.change().fail("errory", "PeerError", effect.detail)
                notices += self._leaving(failed)
            else:
                notices += (effect,)
        return notices

    # The end.

    def _leaving(self, effects: LifecycleEffects) -> out.Notices:
        notices: out.Notices = ()
        for effect in effects:
            if isinstance(effect, Leave):
                self.talk.leave(deliver=effect.deliver)
                self.meeting.leave(effect.mood, insist=effect.insist)
            else:
                notices += self._ending((effect,))
        return notices

    def _end_if_clear(self) -> out.Notices:
        """End once nothing of ours is left on the server."""
        if self.lifecycle.is_in("closing", "leaving") and self.meeting.given_back:
            return self._ending(self.lifecycle.change().finish())
        return ()

    def _ending(self, effects: LifecycleEffects) -> out.Notices:
        data = self.lifecycle.data
        return tuple(
            out.Closed(data.mood, data.error, data.detail)
            for effect in effects
            if isinstance(effect, Ended)
        )

    # Saving.

    def serialize(self) -> dict[str, object]:
        """Return the state as JSON values; `Exchange.from_serialized` brings it back.

        What is in it belongs to the exchange: a caller who may change it takes a copy.
        """
        return {
            "appid": self.appid,
            "side": self.side,
            "versions": self.versions,
            "welcome": self.welcome,
            "dilation": self.talk.dilation,
            "can_dilate": self.talk.can_dilate,
            **{name: getattr(self, name).serialize() for name in PARTS},
        }

    @classmethod
    def from_serialized(cls, record: Mapping[str, object]) -> Self:
        """Bring back what `serialize` gave.

        Raises:
            BadCheckpoint: the record is damaged.
        """
        saved = structure(record, SavedExchange)
        parts = {name: PARTS[name].restore(getattr(saved, name)) for name in PARTS}
        meeting = Meeting(*(parts[name] for name in ("code", "nameplate", "mailbox")))
        talk = Talk(
            saved.appid,
            saved.side,
            saved.versions,
            *(parts["key"], parts["outbox"], parts["inbox"]),
            saved.dilation,
            saved.can_dilate,
        )
        lifecycle = parts["lifecycle"]
        return cls(saved.appid, saved.side, saved.versions, saved.welcome, meeting, talk, lifecycle)


def _own_code(digits: int, length: int, entropy: Entropy) -> str:
    """Make a code of `length` words on a random number of so many digits."""
    number = long_number(digits, entropy.draw("number", ENTROPY))
    return make(number, entropy.draw("words", length), length)


_HANDLERS: Final[Mapping[type, Callable[[Exchange, Any, Entropy], out.Notices | None]]] = {
    ev.AllocateCode: Exchange._allocate_code,
    ev.SetCode: Exchange._set_code,
    ev.TypeCode: Exchange._type_code,
    ev.ChooseNameplate: Exchange._choose_nameplate,
    ev.ChooseWords: Exchange._choose_words,
    ev.SendMessage: Exchange._send_message,
    ev.Dilate: Exchange._dilate,
    ev.SendDilation: Exchange._send_dilation,
    ev.DilationSeen: Exchange._dilation_seen,
    ev.Close: Exchange._close,
    ev.Welcomed: Exchange._welcomed,
    ev.Allocated: Exchange._allocated,
    ev.Claimed: Exchange._claimed,
    ev.MessageArrived: Exchange._message_arrived,
    ev.NameplateReleased: Exchange._released,
    ev.MailboxClosed: Exchange._mailbox_closed,
    ev.Refused: Exchange._refused,
    ev.ServerMisbehaved: Exchange._misbehaved,
    ev.NoServer: Exchange._no_server,
    ev.ConnectionLost: Exchange._connection_lost,
    ev.LongAbsence: Exchange._long_absence,
    ev.MailboxMissing: Exchange._mailbox_missing,
    ev.NameplateListed: Exchange._listed,
}
"""What each kind of event leads to."""
