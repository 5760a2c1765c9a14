"""A wormhole as a value: one event at a time in, notices for the application out.

An exchange is six small machines, each in a module of its own, and this parent, which alone knows
them all: it hands each event to the machines that it concerns, and carries their effects from one
to the next.  No machine holds a reference to another.

    code -> nameplate -> mailbox        how the two sides find each other
    key, outbox, inbox                  what they say there
    lifecycle                           how well it goes, and how it ends

After an exception from `apply` the exchange must be thrown away and restored from its last
checkpoint, because Automat moves a machine's state before the transition's behaviour runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import singledispatchmethod
from typing import Any, Self

from attrs import define, field, frozen

from holdfast.core import events as ev
from holdfast.core import notices as out
from holdfast.core.code import CODE, Code, CodePart, NameplateKnown
from holdfast.core.code import Effects as CodeEffects
from holdfast.core.documents import structure
from holdfast.core.frames import Allocate, Claim, Frame
from holdfast.core.inbox import INBOX, Deliver, Inbox, InboxPart, Overflow, Unseal
from holdfast.core.inbox import Effects as InboxEffects
from holdfast.core.key import KEY, Key, KeyPart
from holdfast.core.lifecycle import LIFECYCLE, Ended, Leave, Lifecycle, LifecyclePart
from holdfast.core.lifecycle import Effects as LifecycleEffects
from holdfast.core.machine import Blueprint
from holdfast.core.mailbox import MAILBOX, Mailbox, MailboxPart
from holdfast.core.messages import ignored_phase, parse_pake, parse_versions
from holdfast.core.nameplate import NAMEPLATE, Nameplate, NameplatePart
from holdfast.core.outbox import OUTBOX, Outbox, OutboxPart, Seal
from holdfast.core.outbox import Effects as OutboxEffects
from holdfast.crypto import (
    BadPake,
    CannotUnseal,
    Entropy,
    finish,
    phase_key,
    seal,
    start,
    unseal,
    verifier,
)
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
    code: CodePart = field(factory=lambda: CODE.begin(Code()))
    nameplate: NameplatePart = field(factory=lambda: NAMEPLATE.begin(Nameplate()))
    mailbox: MailboxPart = field(factory=lambda: MAILBOX.begin(Mailbox()))
    key: KeyPart = field(factory=lambda: KEY.begin(Key()))
    outbox: OutboxPart = field(factory=lambda: OUTBOX.begin(Outbox()))
    inbox: InboxPart = field(factory=lambda: INBOX.begin(Inbox()))
    lifecycle: LifecyclePart = field(factory=lambda: LIFECYCLE.begin(Lifecycle()))

    # What others ask.

    @property
    def ended(self) -> bool:
        """Whether it is over: nothing more will happen."""
        return self.lifecycle.state == "ended"

    @property
    def well(self) -> bool:
        """Whether it has not begun to close."""
        return self.lifecycle.state in ("lonely", "happy")

    @property
    def shared_key(self) -> bytes | None:
        """The key, confirmed or not, once there is one."""
        return bytes.fromhex(self.key.data.key) if self.key.data.key else None

    # What happens.

    def apply(self, event: ev.Event, seed: bytes) -> out.Notices | None:
        """Let *event* happen.

        Args:
            seed: 32 fresh random bytes, from which everything random that the event needs is
                drawn; so the same event with the same seed gives the same outcome for ever.

        Returns:
            What the application is to be told, in order; or None if the event said nothing new,
            in which case the state is as before.

        Raises:
            OnlyOneCodeError: a second code was asked for or set; the state is as before.
        """
        notices = self._on(event, Entropy(seed))
        if notices is None:
            return None
        return (*notices, *self._settle())

    def saying(self, frames: Iterable[Frame]) -> bool:
        """Note what is about to be said, and return whether that changed the state.

        From the moment when we may have asked for a nameplate or claimed one, there may be
        something of ours on the server.
        """
        before = self.code.state, self.nameplate.state
        for frame in frames:
            if isinstance(frame, Allocate):
                self.code.inputs.ask()
            elif isinstance(frame, Claim):
                self.nameplate.inputs.claim()
        return (self.code.state, self.nameplate.state) != before

    @singledispatchmethod
    def _on(self, event: ev.Event, entropy: Entropy) -> out.Notices | None:
        raise TypeError(f"no such event: {type(event).__name__}")

    # From the application.

    @_on.register
    def _allocate_code(self, event: ev.AllocateCode, entropy: Entropy) -> out.Notices | None:
        self._only_one_code()
        self.code.inputs.allocate(entropy.draw("words", event.length).hex())
        return ()

    @_on.register
    def _set_code(self, event: ev.SetCode, entropy: Entropy) -> out.Notices | None:
        self._only_one_code()
        return self._code_known(self.code.inputs.enter(event.code), entropy)

    @_on.register
    def _type_code(self, event: ev.TypeCode, entropy: Entropy) -> out.Notices | None:
        self._only_one_code()
        return self._code_known(self.code.inputs.type(), entropy)

    @_on.register
    def _choose_nameplate(self, event: ev.ChooseNameplate, entropy: Entropy) -> out.Notices | None:
        if self.code.state != "typing":
            return None
        return self._code_known(self.code.inputs.choose_nameplate(event.nameplate), entropy)

    @_on.register
    def _choose_words(self, event: ev.ChooseWords, entropy: Entropy) -> out.Notices | None:
        if self.code.state != "typing_words":
            return None
        return self._code_known(self.code.inputs.choose_words(event.words), entropy)

    def _only_one_code(self) -> None:
        if self.code.state != "unset":
            raise OnlyOneCodeError

    @_on.register
    def _send_message(self, event: ev.SendMessage, entropy: Entropy) -> out.Notices | None:
        if not self.well:
            return None
        self._sealing(self.outbox.inputs.send(event.plaintext.hex()), entropy)
        return ()

    @_on.register
    def _close(self, event: ev.Close, entropy: Entropy) -> out.Notices | None:
        return self._leaving(self.lifecycle.inputs.close()) if self.well else None

    # From the server.

    @_on.register
    def _welcomed(self, event: ev.Welcomed, entropy: Entropy) -> out.Notices | None:
        abandoned = not self.well and self.code.state == "asked"
        if abandoned:
            # The answer went with the old connection, and the nameplate in it is unknown to us.
            self.code.inputs.abandon()
        if self.ended or event.welcome == self.welcome:
            return () if abandoned else None
        self.welcome = event.welcome
        error = event.welcome.get("error")
        if error is not None:
            # No welcome at all: whoever waits for one gets the error.
            failed = self.lifecycle.inputs.fail("unwelcome", "WelcomeError", str(error))
            return self._leaving(failed)
        # The application may do with its copy what it likes.
        return (out.GotWelcome(deepcopy(event.welcome)),)

    @_on.register
    def _allocated(self, event: ev.Allocated, entropy: Entropy) -> out.Notices | None:
        if self.code.state != "asked":
            return None
        known = self.code.inputs.allocated(event.nameplate)
        if self.well:
            return self._code_known(known, entropy)
        # We learn of it only to give it back.
        self.nameplate.inputs.want(event.nameplate)
        return ()

    @_on.register
    def _claimed(self, event: ev.Claimed, entropy: Entropy) -> out.Notices | None:
        if self.nameplate.state != "claiming":
            return None
        for found in self.nameplate.inputs.claimed(event.mailbox):
            self.mailbox.inputs.found(found.mailbox)
        if not self.well:
            self.nameplate.inputs.release()
            self.mailbox.inputs.close(self.lifecycle.data.mood)
        return ()

    @_on.register
    def _message_arrived(self, event: ev.MessageArrived, entropy: Entropy) -> out.Notices | None:
        if self.ended:
            return None
        if event.side == self.side:
            return () if self.outbox.inputs.echoed(event.phase) else None
        if not self.well or self.mailbox.state != "open":
            return None
        met = self.nameplate.state == "claimed"
        if met:
            # Both sides are in the mailbox: the nameplate has done its work.
            self.nameplate.inputs.release()
        if event.phase == "pake":
            notices = self._pake(event.body, entropy)
        elif ignored_phase(event.phase):
            notices = None
        else:
            notices = self._box(event, entropy)
        return () if notices is None and met else notices

    @_on.register
    def _released(self, event: ev.NameplateReleased, entropy: Entropy) -> out.Notices | None:
        if self.nameplate.state != "releasing":
            return None
        self.nameplate.inputs.released()
        return ()

    @_on.register
    def _mailbox_closed(self, event: ev.MailboxClosed, entropy: Entropy) -> out.Notices | None:
        if self.mailbox.state != "closing":
            return None
        self.mailbox.inputs.closed()
        return ()

    @_on.register
    def _refused(self, event: ev.Refused, entropy: Entropy) -> out.Notices | None:
        if self.ended:
            return None
        if event.about == "close" and self.mailbox.state == "closing":
            # Nothing better will come of asking again: a crowded mailbox refuses for ever.
            self.mailbox.inputs.closed()
            failed = self.lifecycle.inputs.fail("errory", "ServerError", event.error)
            return self._leaving(failed)
        if event.about == "release" and self.nameplate.state == "releasing":
            self.nameplate.inputs.released()
            return ()
        if self.lifecycle.state == "leaving" and event.about is not None:
            # A frame that had left before the first refusal came, and is refused in its turn.
            return None
        return self._server_failed(event.error)

    @_on.register
    def _misbehaved(self, event: ev.ServerMisbehaved, entropy: Entropy) -> out.Notices | None:
        return self._server_failed(event.reason)

    def _server_failed(self, detail: str) -> out.Notices | None:
        if self.ended:
            return None
        if self.lifecycle.state == "leaving":
            return self._ending(self.lifecycle.inputs.give_up())
        return self._leaving(self.lifecycle.inputs.fail("errory", "ServerError", detail))

    @_on.register
    def _no_server(self, event: ev.NoServer, entropy: Entropy) -> out.Notices | None:
        if not self.well:
            return None
        failed = self.lifecycle.inputs.fail("errory", "ServerConnectionError", event.reason)
        return self._leaving(failed)

    @_on.register
    def _connection_lost(self, event: ev.ConnectionLost, entropy: Entropy) -> out.Notices | None:
        if self.lifecycle.state != "leaving":
            return None
        return self._ending(self.lifecycle.inputs.give_up())

    # From one machine to the next.

    def _code_known(self, effects: CodeEffects, entropy: Entropy) -> out.Notices:
        notices: out.Notices = ()
        for known in effects:
            if isinstance(known, NameplateKnown):
                self.nameplate.inputs.want(known.nameplate)
                continue
            half = start(known.code, self.appid, entropy.draw("scalar", 64))
            body = json.dumps({"pake_v1": half.message.hex()}).encode()
            self.outbox.inputs.put("pake", body.hex())
            notices += (out.GotCode(known.code),)
            if self.key.state == "answered":
                theirs = bytes.fromhex(self.key.data.theirs)
                notices += self._agree(half.scalar, theirs, entropy)
            else:
                self.key.inputs.start(half.scalar)
        return notices

    def _pake(self, body: bytes, entropy: Entropy) -> out.Notices | None:
        if self.key.state not in ("fresh", "started"):
            return None
        try:
            theirs = parse_pake(body)
        except BadPake:
            return self._distrust()
        if self.key.state == "fresh":
            self.key.inputs.keep(theirs.hex())
            return ()
        return self._agree(self.key.data.scalar, theirs, entropy)

    def _agree(self, scalar: str, theirs: bytes, entropy: Entropy) -> out.Notices:
        try:
            shared = finish(self.code.data.code, self.appid, scalar, theirs)
        except BadPake:
            return self._distrust()
        self.key.inputs.agree(shared.hex())
        versions = json.dumps({"app_versions": self.versions}).encode()
        self._put("version", versions, entropy)
        notices: out.Notices = (out.GotUnverifiedKey(shared),)
        return notices + self._reading(self.inbox.inputs.unlock(), entropy)

    def _distrust(self) -> out.Notices:
        if self.key.state in ("fresh", "started", "answered"):
            self.key.inputs.refuse()
        return self._leaving(self.lifecycle.inputs.distrust())

    def _box(self, event: ev.MessageArrived, entropy: Entropy) -> out.Notices | None:
        if self.inbox.data.has(event.phase):
            return None
        arrived = self.inbox.inputs.arrived(event.side, event.phase, event.body.hex())
        return self._reading(arrived, entropy)

    def _reading(self, effects: InboxEffects, entropy: Entropy) -> out.Notices:
        """Decrypt, and deliver what is next in order."""
        notices: out.Notices = ()
        for effect in effects:
            if not self.well:
                break
            if isinstance(effect, Unseal):
                notices += self._unseal(effect, entropy)
            elif isinstance(effect, Overflow):
                notices += self._peer_failed("it sent too much at once, out of order")
        return notices

    def _unseal(self, box: Unseal, entropy: Entropy) -> out.Notices:
        shared = bytes.fromhex(self.key.data.key)
        try:
            plaintext = unseal(phase_key(shared, box.side, box.phase), bytes.fromhex(box.body))
        except CannotUnseal:
            return self._distrust()
        notices: out.Notices = ()
        if self.key.state == "agreed":
            self.key.inputs.confirm()
            self.lifecycle.inputs.prove()
            notices += (out.GotVerifier(verifier(shared)),)
            self._sealing(self.outbox.inputs.flow(), entropy)
        if box.phase == "version":
            try:
                versions = parse_versions(plaintext)
            except ValueError as error:
                return notices + self._peer_failed(str(error))
            self.inbox.inputs.opened(box.phase, plaintext.hex())
            return (*notices, out.GotVersions(versions))
        for effect in self.inbox.inputs.opened(box.phase, plaintext.hex()):
            if isinstance(effect, Deliver):
                notices += (out.GotMessage(bytes.fromhex(effect.plaintext)),)
            elif isinstance(effect, Overflow):
                notices += self._peer_failed("it sent too much at once, out of order")
        return notices

    def _peer_failed(self, detail: str) -> out.Notices:
        return self._leaving(self.lifecycle.inputs.fail("errory", "PeerError", detail))

    def _sealing(self, effects: OutboxEffects, entropy: Entropy) -> None:
        for effect in effects:
            if isinstance(effect, Seal):
                self._put(effect.phase, bytes.fromhex(effect.plaintext), entropy)

    def _put(self, phase: str, plaintext: bytes, entropy: Entropy) -> None:
        """Encrypt once; these very bytes are sent however often they must be."""
        secret = phase_key(bytes.fromhex(self.key.data.key), self.side, phase)
        box = seal(secret, plaintext, entropy.draw(f"nonce {phase}", 24))
        self.outbox.inputs.put(phase, box.hex())

    # The end.

    def _leaving(self, effects: LifecycleEffects) -> out.Notices:
        notices: out.Notices = ()
        for effect in effects:
            if isinstance(effect, Leave):
                self._leave(effect)
            else:
                notices += self._ending((effect,))
        return notices

    def _leave(self, leave: Leave) -> None:
        self.inbox.inputs.shut()
        self.outbox.inputs.forget()
        if not leave.deliver:
            self.outbox.inputs.shut()
        if self.code.state in ("unset", "wanted", "typing", "typing_words") or (
            self.code.state == "asked" and not leave.insist
        ):
            self.code.inputs.abandon()
        if self.nameplate.state == "claiming" and leave.insist:
            return  # the answer tells which mailbox to close
        if self.code.state == "asked":
            return  # the answer tells which nameplate to release
        self.nameplate.inputs.release()
        self.mailbox.inputs.close(leave.mood)

    def _settle(self) -> out.Notices:
        """End once nothing of ours is left on the server."""
        if (
            self.lifecycle.state in ("closing", "leaving")
            and self.code.state in ("known", "abandoned")
            and self.nameplate.state in ("none", "released")
            and self.mailbox.state in ("unknown", "closed")
        ):
            return self._ending(self.lifecycle.inputs.finish())
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
        """Return the state as JSON values; `Exchange.from_serialized` brings it back."""
        return {
            "appid": self.appid,
            "side": self.side,
            "versions": deepcopy(self.versions),
            "welcome": deepcopy(self.welcome),
            **{name: getattr(self, name).serialize() for name in PARTS},
        }

    @classmethod
    def from_serialized(cls, record: Mapping[str, object]) -> Self:
        """Bring back what `serialize` gave.

        Raises:
            BadCheckpoint: the record is damaged.
        """
        saved = structure(record, _SavedExchange)
        parts = {name: PARTS[name].restore(getattr(saved, name)) for name in PARTS}
        exchange = cls(saved.appid, saved.side, saved.versions, saved.welcome, **parts)
        if not exchange.well:
            exchange.outbox.inputs.forget()  # earlier releases kept what will never be sent
        return exchange


@frozen
class _SavedExchange:
    """The shape of a serialized exchange."""

    appid: str
    side: str
    versions: dict[str, Any]
    welcome: dict[str, Any] | None
    code: dict[str, Any]
    nameplate: dict[str, Any]
    mailbox: dict[str, Any]
    key: dict[str, Any]
    outbox: dict[str, Any]
    inbox: dict[str, Any]
    lifecycle: dict[str, Any]


PARTS: dict[str, Blueprint[Any, Any]] = {
    "code": CODE,
    "nameplate": NAMEPLATE,
    "mailbox": MAILBOX,
    "key": KEY,
    "outbox": OUTBOX,
    "inbox": INBOX,
    "lifecycle": LIFECYCLE,
}
"""Every machine of an exchange, by the name of its field."""
