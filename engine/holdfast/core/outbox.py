"""What we tell the peer: held back until the key is confirmed, then kept until the end.

    holding -> flowing -> shut

Every message that was ever put in the mailbox is kept as the very bytes that were sent, because
what the server lost must be added again unchanged: the peer would take other bytes under the same
phase for an attack, or for a repetition.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

from attrs import define, field, frozen
from automat import TypeMachineBuilder

from holdfast.core.documents import Hex
from holdfast.core.machine import Part, blueprint


@frozen
class Seal:
    """Encrypt this message for the peer and put it in the mailbox."""

    phase: str
    plaintext: str = field(repr=False)


@frozen
class Echoed:
    """The server has stored this message of ours for good."""

    phase: str


Effects: TypeAlias = tuple[Seal | Echoed, ...]


class Inputs(Protocol):
    """Everything that can happen to what we send."""

    def send(self, plaintext: str) -> Effects:
        """The application sends a message (hex)."""
        ...

    def flow(self) -> Effects:
        """The key is confirmed: what was held back may go."""
        ...

    def put(self, phase: str, body: str) -> Effects:
        """These bytes (hex) belong in the mailbox under *phase*."""
        ...

    def echoed(self, phase: str) -> Effects:
        """The server showed us our own message: it is stored."""
        ...

    def forget(self) -> Effects:
        """The key will never be confirmed: what was held back will never go."""
        ...

    def withdraw(self) -> Effects:
        """There will be another code, and another half of the key."""
        ...

    def missing(self) -> Effects:
        """The server has lost all that it had stored."""
        ...

    def shut(self) -> Effects:
        """Nobody is there to read it."""
        ...

    def where(self) -> str:
        """Name the current state, for the checkpoint."""
        ...


@define
class Sent:
    """A message of ours, byte for byte (hex) as it lies in the mailbox."""

    phase: str
    body: Hex = field(repr=False)
    echoed: bool = False


@define
class Outbox:
    """The data of the outbox: *queued* plaintexts (hex), *sent* ones, the next number."""

    queued: list[Hex] = field(factory=list, repr=False)
    sent: list[Sent] = field(factory=list)
    next: int = 0

    @property
    def stored(self) -> bool:
        """Whether the server has ever had something of ours."""
        return any(message.echoed for message in self.sent)

    @property
    def undelivered(self) -> bool:
        """Whether something was never echoed."""
        return any(not message.echoed for message in self.sent)


builder = TypeMachineBuilder(Inputs, Outbox)

holding = builder.state("holding")
flowing = builder.state("flowing")
shut = builder.state("shut")

for _input in (Inputs.flow, Inputs.forget, Inputs.missing, Inputs.shut):
    shut.upon(_input).loop().returns(())
shut.upon(Inputs.send).loop().returns(())
shut.upon(Inputs.put).loop().returns(())
shut.upon(Inputs.echoed).loop().returns(())
flowing.upon(Inputs.flow).loop().returns(())
flowing.upon(Inputs.forget).loop().returns(())


@holding.upon(Inputs.send).loop()
def hold(inputs: Inputs, data: Outbox, plaintext: str) -> Effects:
    """Nothing of the application's leaves before the peer has proved itself."""
    data.queued.append(plaintext)
    return ()


@holding.upon(Inputs.forget).loop()
def let_go(inputs: Inputs, data: Outbox) -> Effects:
    """A secret that nobody will get has no place in a checkpoint."""
    data.queued = []
    return ()


@flowing.upon(Inputs.send).loop()
def number(inputs: Inputs, data: Outbox, plaintext: str) -> Effects:
    """Messages are told apart, and ordered, by a number of their own."""
    phase = str(data.next)
    data.next += 1
    return (Seal(phase, plaintext),)


@holding.upon(Inputs.flow).to(flowing)
def number_all(inputs: Inputs, data: Outbox) -> Effects:
    """What was held back goes in the order in which it came."""
    held, data.queued = data.queued, []
    data.next = len(held)
    return tuple(Seal(str(index), plaintext) for index, plaintext in enumerate(held))


@holding.upon(Inputs.put).loop()
@flowing.upon(Inputs.put).loop()
def keep(inputs: Inputs, data: Outbox, phase: str, body: str) -> Effects:
    """One phase, one body, for ever."""
    if all(message.phase != phase for message in data.sent):
        data.sent.append(Sent(phase, body))
    return ()


@holding.upon(Inputs.echoed).loop()
@flowing.upon(Inputs.echoed).loop()
def mark(inputs: Inputs, data: Outbox, phase: str) -> Effects:
    """An echo that comes again says nothing new."""
    for message in data.sent:
        if message.phase == phase and not message.echoed:
            message.echoed = True
            return (Echoed(phase),)
    return ()


@holding.upon(Inputs.withdraw).loop()
def take_back(inputs: Inputs, data: Outbox) -> Effects:
    """Nobody has seen our half of the key; what was held back stays."""
    data.sent = []
    return ()


@holding.upon(Inputs.missing).loop()
@flowing.upon(Inputs.missing).loop()
def unmark(inputs: Inputs, data: Outbox) -> Effects:
    """It is put there once more, as the very same bytes."""
    for message in data.sent:
        message.echoed = False
    return ()


@holding.upon(Inputs.shut).to(shut)
@flowing.upon(Inputs.shut).to(shut)
def drop(inputs: Inputs, data: Outbox) -> Effects:
    """Free the memory, and what wants delivering."""
    data.queued = []
    data.sent = []
    return ()


OUTBOX = blueprint(builder, Inputs.where, Outbox, (holding, flowing, shut))
OutboxPart: TypeAlias = Part[Inputs, Outbox]
