"""What the peer tells us: each message once, in order, and within bounds.

    locked -> unlocked -> shut

Until there is a key, messages wait encrypted. Afterwards each is decrypted as it comes, and waits
only for messages with a smaller number.

The messages of the peer's dilation have numbers of their own, and wait until ours is there to hear
them.

Specified at the head of client-protocol.md: phases that are numbers are the application's, come in
any order and any number of times, and are delivered once, in order. The same holds for `dilate-N`
(dilation-protocol.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol, TypeAlias

from attrs import define, field, frozen
from automat import TypeMachineBuilder

from holdfast.core.documents import Hex
from holdfast.core.machine import Part, blueprint
from holdfast.core.messages import dilation_number, dilation_phase

MOST_LOCKED = 100
"""How many messages may wait for the key: any client may have sent them. An honest peer must have
a message of ours before it sends more than two, so it never comes near this."""

MOST_LOCKED_BYTES = 1024 * 1024
"""How many bytes they may have together."""

MOST_EARLY = 1000
"""How many messages of a peer that has proved itself may wait for their turn."""

MOST_EARLY_BYTES = 32 * 1024 * 1024
"""How many bytes they may have together."""


@frozen
class Unseal:
    """Decrypt this message."""

    side: str
    phase: str
    body: str = field(repr=False)


@frozen
class Deliver:
    """Give this message (hex) to the application, or to the dilation."""

    plaintext: str = field(repr=False)
    dilation: bool = False


@frozen
class Overflow:
    """More is waiting than an honest peer would send."""


Effects: TypeAlias = tuple[Unseal | Deliver | Overflow, ...]

State: TypeAlias = Literal["locked", "unlocked", "shut"]


class Inputs(Protocol):
    """Everything that can happen to what we receive."""

    def arrived(self, side: str, phase: str, body: str) -> Effects:
        """A message (hex) of the peer is in the mailbox: "version", a number or "dilate-N"."""
        ...

    def unlock(self) -> Effects:
        """There is a key to try."""
        ...

    def opened(self, phase: str, plaintext: str) -> Effects:
        """A message decrypted to this (hex)."""
        ...

    def dilate(self) -> Effects:
        """Our dilation is there, and hears what the peer's says."""
        ...

    def shut(self) -> Effects:
        """The wormhole has stopped listening."""
        ...

    def where(self) -> State:
        """Name the current state, for the checkpoint."""
        ...


@define
class Locked:
    """A message that waits for the key."""

    side: str
    phase: str
    body: Hex = field(repr=False)


@define
class Inbox:
    """The data of the inbox.

    Args:
        locked: messages that wait for the key.
        early: plaintexts (hex) that wait for messages with smaller numbers, by phase.
        next: the number of the message that is to be delivered next.
        versions: whether the peer's version message has come.
        dilated: whether our dilation is there.
        next_dilation: the number of its message that is to be delivered next.
    """

    locked: list[Locked] = field(factory=list)
    early: dict[str, Hex] = field(factory=dict, repr=False)
    next: int = 0
    versions: bool = False
    dilated: bool = False
    next_dilation: int = 0

    def has(self, phase: str) -> bool:
        """Whether a message of this phase came before; the first one counts."""
        dilation = dilation_number(phase)
        if phase == "version":
            known = self.versions
        elif dilation is not None:
            known = dilation < self.next_dilation or phase in self.early
        else:
            known = int(phase) < self.next or phase in self.early
        return known or any(waiting.phase == phase for waiting in self.locked)

    def is_next(self, phase: str) -> bool:
        """Whether the turn of this message has come."""
        if self.dilated and phase == dilation_phase(self.next_dilation):
            return True
        return phase == str(self.next)


def _too_much(waiting: Iterable[str], more: str, most: int, most_bytes: int) -> bool:
    """Whether one more would be too many; all of them are hex."""
    sizes = [len(each) for each in waiting]
    return len(sizes) >= most or (sum(sizes) + len(more)) // 2 > most_bytes


builder = TypeMachineBuilder(Inputs, Inbox)

locked = builder.state("locked")
unlocked = builder.state("unlocked")
shut = builder.state("shut")

shut.upon(Inputs.arrived).loop().returns(())
shut.upon(Inputs.unlock).loop().returns(())
shut.upon(Inputs.opened).loop().returns(())
shut.upon(Inputs.dilate).loop().returns(())
shut.upon(Inputs.shut).loop().returns(())


@locked.upon(Inputs.arrived).loop()
def wait_for_key(inputs: Inputs, data: Inbox, side: str, phase: str, body: str) -> Effects:
    """The peer may be faster than the person who types our code."""
    if data.has(phase):
        return ()
    waiting = (each.body for each in data.locked)
    if _too_much(waiting, body, MOST_LOCKED, MOST_LOCKED_BYTES):
        return (Overflow(),)
    data.locked.append(Locked(side, phase, body))
    return ()


@locked.upon(Inputs.unlock).to(unlocked)
def try_all(inputs: Inputs, data: Inbox) -> Effects:
    """Messages that came before the key are decrypted in the order in which they came."""
    waiting, data.locked = data.locked, []
    return tuple(Unseal(each.side, each.phase, each.body) for each in waiting)


@unlocked.upon(Inputs.arrived).loop()
def try_this(inputs: Inputs, data: Inbox, side: str, phase: str, body: str) -> Effects:
    """A message whose phase has come before is dropped unread: peers and servers repeat them."""
    return () if data.has(phase) else (Unseal(side, phase, body),)


@unlocked.upon(Inputs.opened).loop()
def deliver(inputs: Inputs, data: Inbox, phase: str, plaintext: str) -> Effects:
    """Deliver in order, and only in order."""
    if data.has(phase):
        return ()
    if phase == "version":
        data.versions = True
        return (Deliver(plaintext),)
    waiting = data.early.values()
    if not data.is_next(phase) and _too_much(waiting, plaintext, MOST_EARLY, MOST_EARLY_BYTES):
        return (Overflow(),)
    data.early[phase] = plaintext
    return _ready(data)


@locked.upon(Inputs.dilate).loop()
@unlocked.upon(Inputs.dilate).loop()
def hear_dilation(inputs: Inputs, data: Inbox) -> Effects:
    """What the peer's dilation said before ours was there, in order."""
    data.dilated = True
    return _ready(data)


def _ready(data: Inbox) -> Effects:
    """Take out what is next, and what follows it without a gap."""
    ready = []
    while (plaintext := data.early.pop(str(data.next), None)) is not None:
        ready.append(Deliver(plaintext))
        data.next += 1
    while data.dilated:
        plaintext = data.early.pop(dilation_phase(data.next_dilation), None)
        if plaintext is None:
            break
        ready.append(Deliver(plaintext, dilation=True))
        data.next_dilation += 1
    return tuple(ready)


@locked.upon(Inputs.shut).to(shut)
@unlocked.upon(Inputs.shut).to(shut)
def drop(inputs: Inputs, data: Inbox) -> Effects:
    """Free the memory."""
    data.locked = []
    data.early = {}
    return ()


INBOX = blueprint(builder, Inputs.where, Inbox, (locked, unlocked, shut))
InboxPart: TypeAlias = Part[Inputs, Inbox, State]
