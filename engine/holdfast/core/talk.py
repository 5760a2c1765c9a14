"""What the two sides say to each other: a key, and the messages under it.

The three machines of this part of an exchange are `key`, `outbox` and `inbox`. What they lead to
is returned: notices for the application, and what the rest of the exchange must know of the peer.

Specified in client-protocol.md; what concerns dilation, in dilation-protocol.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from attrs import define, field, frozen

from holdfast.core import notices as out
from holdfast.core.inbox import INBOX, Deliver, Inbox, InboxPart, Overflow, Unseal
from holdfast.core.inbox import Effects as InboxEffects
from holdfast.core.key import KEY, Key, KeyPart
from holdfast.core.messages import (
    DILATION,
    dilation_number,
    ignored_phase,
    parse_pake,
    parse_versions,
)
from holdfast.core.outbox import OUTBOX, Outbox, OutboxPart
from holdfast.core.outbox import Effects as OutboxEffects
from holdfast.crypto import (
    BadPake,
    CannotUnseal,
    Entropy,
    Half,
    finish,
    phase_key,
    seal,
    start,
    unseal,
    verifier,
)
from holdfast.errors import BadCheckpoint


@frozen
class Proved:
    """The peer has shown that it knows the code."""


@frozen
class Distrusted:
    """The peer used a different code, or is malicious; nothing follows this."""


@frozen
class PeerFailed:
    """The peer broke the protocol, in the way that `detail` says; nothing follows this."""

    detail: str


Effects: TypeAlias = tuple[out.Notice | Proved | Distrusted | PeerFailed, ...]


@define
class Talk:
    """The key, what we say under it, and what we hear.

    Args:
        appid: the application's identifier, the same on both sides.
        side: our name in the mailbox.
        versions: what the peer gets as our versions, JSON values.
        dilation: whether our version message says that we can dilate, or will say so.
        can_dilate: whether both can, in the same way; None before the peer's has come.
    """

    appid: str
    side: str
    versions: Mapping[str, Any] = field(repr=False)
    key: KeyPart = field(factory=lambda: KEY.begin(Key()))
    outbox: OutboxPart = field(factory=lambda: OUTBOX.begin(Outbox()))
    inbox: InboxPart = field(factory=lambda: INBOX.begin(Inbox()))
    dilation: bool = False
    can_dilate: bool | None = None

    def begin(self, code: str, entropy: Entropy) -> Effects:
        """The `code` is known: make our half of the key."""
        half = start(code, self.appid, entropy.draw("scalar", 64))
        body = json.dumps({"pake_v1": half.message.hex()}).encode()
        self.outbox.change().put("pake", body.hex())
        if self.key.state == "answered":
            return self._agree(code, half, bytes.fromhex(self.key.data.theirs), entropy)
        self.key.change().start(half.scalar)
        return ()

    def begin_anew(self) -> None:
        """There will be another code, and nothing was ever seen under this one."""
        self.key.change().drop()
        self.outbox.change().withdraw()

    def send(self, plaintext: bytes, entropy: Entropy) -> None:
        """Say `plaintext` to the peer, now or once it has proved itself."""
        self._sealing(self.outbox.change().send(plaintext.hex()), entropy)

    # Dilation.

    @property
    def may_dilate(self) -> bool:
        """Whether the peer knows that we can, or can still be told."""
        return self.dilation or self.key.is_in("fresh", "started", "answered")

    def dilate(self) -> Effects:
        """Our dilation is there: say that we can, and give it what the peer's has said."""
        self.dilation = True
        return self._delivering(self.inbox.change().dilate())

    def say_dilation(self, plaintext: bytes, entropy: Entropy) -> bool:
        """Say `plaintext` to the peer's dilation; return False if it has none that hears us."""
        if not self.can_dilate:
            return False
        self._sealing(self.outbox.change().say(plaintext.hex()), entropy)
        return True

    def hear(
        self, side: str, phase: str, body: bytes, code: str, entropy: Entropy
    ) -> Effects | None:
        """Take in a message of the peer.

        Args:
            side: the side that sent it.
            phase: what it was sent under.
            body: the bytes that the mailbox showed.
            code: ours, or "" while it is not known.
            entropy: where the random bytes for what follows are drawn from.

        Returns:
            None if it says nothing new.
        """
        if phase == "pake":
            return self._pake(body, code, entropy)
        if ignored_phase(phase) or (dilation_number(phase) is not None and not self.dilation):
            return None
        if self.inbox.data.has(phase):
            return None
        return self._reading(self.inbox.change().arrived(side, phase, body.hex()), entropy)

    def leave(self, *, deliver: bool) -> None:
        """Hear nothing more, and say nothing more, except, with `deliver`, what is on its way."""
        self.inbox.change().shut()
        self.outbox.change().forget()
        if not deliver:
            self.outbox.change().shut()

    # The key.

    def _pake(self, body: bytes, code: str, entropy: Entropy) -> Effects | None:
        if not self.key.is_in("fresh", "started"):
            return None
        try:
            theirs = parse_pake(body)
        except BadPake:
            return self._distrust()
        if self.key.state == "fresh":
            self.key.change().keep(theirs.hex())
            return ()
        return self._agree(code, self._half(), theirs, entropy)

    def _half(self) -> Half:
        """Our half of the key, as it was made and put in the mailbox."""
        for message in self.outbox.data.sent:
            if message.phase == "pake":
                try:
                    ours = parse_pake(bytes.fromhex(message.body))
                except BadPake:
                    break
                return Half(ours, self.key.data.scalar)
        raise BadCheckpoint("the saved wormhole is damaged: its half of the key is not there")

    def _agree(self, code: str, half: Half, theirs: bytes, entropy: Entropy) -> Effects:
        try:
            shared = finish(code, self.appid, half, theirs)
        except BadPake:
            return self._distrust()
        self.key.change().agree(shared.hex())
        versions = {"app_versions": self.versions, **(DILATION if self.dilation else {})}
        self._put("version", json.dumps(versions).encode(), entropy)
        heard = self._reading(self.inbox.change().unlock(), entropy)
        return (out.GotUnverifiedKey(shared), *heard)

    def _distrust(self) -> Effects:
        if self.key.is_in("fresh", "started", "answered"):
            self.key.change().refuse()
        return (Distrusted(),)

    # What we hear.

    def _reading(self, effects: InboxEffects, entropy: Entropy) -> Effects:
        """Decrypt, and deliver what is next in order, until something is wrong with it."""
        heard: Effects = ()
        for effect in effects:
            if isinstance(effect, Unseal):
                heard += self._unseal(effect, entropy)
            elif isinstance(effect, Overflow):
                heard += (_too_much(),)
            if heard and isinstance(heard[-1], Distrusted | PeerFailed):
                break
        return heard

    def _unseal(self, box: Unseal, entropy: Entropy) -> Effects:
        shared = bytes.fromhex(self.key.data.key)
        try:
            plaintext = unseal(phase_key(shared, box.side, box.phase), bytes.fromhex(box.body))
        except CannotUnseal:
            return self._distrust()
        heard: Effects = ()
        if self.key.state == "agreed":
            self.key.change().confirm()
            heard += (Proved(), out.GotVerifier(verifier(shared)))
            self._sealing(self.outbox.change().flow(), entropy)
        if box.phase == "version":
            try:
                versions = parse_versions(plaintext)
            except ValueError as error:
                return (*heard, PeerFailed(str(error)))
            self.inbox.change().opened(box.phase, plaintext.hex())
            self.can_dilate = self.dilation and versions.can_dilate
            return (*heard, out.GotVersions(versions.app))
        return heard + self._delivering(self.inbox.change().opened(box.phase, plaintext.hex()))

    def _delivering(self, effects: InboxEffects) -> Effects:
        heard: Effects = ()
        for effect in effects:
            if isinstance(effect, Deliver):
                kind = out.GotDilation if effect.dilation else out.GotMessage
                heard += (kind(bytes.fromhex(effect.plaintext)),)
            elif isinstance(effect, Overflow):
                heard += (_too_much(),)
        return heard

    # What we say.

    def _sealing(self, effects: OutboxEffects, entropy: Entropy) -> None:
        for effect in effects:
            self._put(effect.phase, bytes.fromhex(effect.plaintext), entropy)

    def _put(self, phase: str, plaintext: bytes, entropy: Entropy) -> None:
        """Encrypt once; the same bytes are sent as often as they must be."""
        secret = phase_key(bytes.fromhex(self.key.data.key), self.side, phase)
        box = seal(secret, plaintext, entropy.draw(f"nonce {phase}", 24))
        self.outbox.change().put(phase, box.hex())


def _too_much() -> PeerFailed:
    return PeerFailed("it sent too much at once, out of order")
