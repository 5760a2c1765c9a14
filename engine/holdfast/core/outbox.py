"""What we tell the peer: held back until the key is confirmed, then kept until the end.

    holding -> flowing -> shut

Every message that was ever put in the mailbox is kept as the exact bytes that were sent. What the
server lost must be added again unchanged: the peer would take other bytes under the same phase for
an attack, or for a repetition.

The application's messages that the mailbox has shown are done, in the order of their numbers. Only
a server that has forgotten the mailbox needs them again. So a caller that has another place for
them takes them out of here (`Outbox.take_shown`), and the cost of an event does not grow with them.

The messages of the dilation have numbers of their own. What the peer answers shows how many of them
it has, and those are not needed any more.

What is put there is specified in client-protocol.md: the half of the key in "Pake", our versions in
"Version exchange", the application's messages in "Application-specific". The dilation's are in
dilation-protocol.md.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from attrs import define, field, frozen
from attrs.validators import ge, lt
from automat import TypeMachineBuilder

from holdfast.core.documents import Hex
from holdfast.core.machine import Part, blueprint
from holdfast.core.messages import dilation_number, dilation_phase, number_of


@frozen
class Seal:
    """Encrypt this message for the peer and put it in the mailbox."""

    phase: str
    plaintext: str = field(repr=False)


Effects: TypeAlias = tuple[Seal, ...]

State: TypeAlias = Literal["holding", "flowing", "shut"]


class Inputs(Protocol):
    """Everything that can happen to what we send."""

    def send(self, plaintext: str) -> Effects:
        """The application sends a message (hex)."""
        ...

    def say(self, plaintext: str) -> Effects:
        """Our dilation says something (hex)."""
        ...

    def seen(self, count: int) -> Effects:
        """The peer has the first `count` messages of our dilation."""
        ...

    def flow(self) -> Effects:
        """The key is confirmed: what was held back may go."""
        ...

    def put(self, phase: str, body: str) -> Effects:
        """These bytes (hex) belong in the mailbox under `phase`."""
        ...

    def echoed(self, phase: str) -> Effects:
        """The server showed us our own message: it is stored."""
        ...

    def forget(self) -> Effects:
        """The key will never be confirmed: what was held back will never be sent."""
        ...

    def withdraw(self) -> Effects:
        """There will be another code, and another half of the key."""
        ...

    def missing(self) -> Effects:
        """The server has lost everything that it had stored."""
        ...

    def shut(self) -> Effects:
        """There is no longer a reader for it."""
        ...

    def where(self) -> State:
        """Name the current state, for the checkpoint."""
        ...


@define
class Sent:
    """A message of ours, byte for byte (hex) as it is in the mailbox."""

    phase: str
    body: Hex = field(repr=False)
    echoed: bool = False


@define
class Outbox:
    """The data of the outbox.

    Args:
        queued: plaintexts (hex) that wait for the key.
        sent: messages whose turn to be done has not come, and those without a number.
        shown: the application's messages that are done, byte for byte (hex), in order.
        kept: how many came before those, and are kept elsewhere.
        next: the number of the message that is to be sent next.
        dilations: messages of our dilation that are done, byte for byte (hex), in order.
        dilations_seen: how many came before those, and are not needed any more.
        next_dilation: the number of the next one.
    """

    queued: list[Hex] = field(factory=list, repr=False)
    sent: list[Sent] = field(factory=list)
    shown: list[Hex] = field(factory=list, repr=False)
    kept: int = field(default=0, validator=[ge(0), lt(10**9)])
    next: int = 0
    dilations: tuple[Hex, ...] = field(default=(), repr=False)
    dilations_seen: int = field(default=0, validator=[ge(0), lt(10**9)])
    next_dilation: int = 0

    @property
    def stored(self) -> bool:
        """Whether the server has ever had something of ours."""
        return self.done > 0 or any(message.echoed for message in self.sent)

    @property
    def done(self) -> int:
        """How many of the application's messages are done: those with smaller numbers."""
        return self.kept + len(self.shown)

    @property
    def dilations_done(self) -> int:
        """How many messages of our dilation are done."""
        return self.dilations_seen + len(self.dilations)

    def has(self, phase: str) -> bool:
        """Whether a message was ever sent under this phase."""
        number, dilation = number_of(phase), dilation_number(phase)
        if number is not None and number < self.done:
            return True
        if dilation is not None and dilation < self.dilations_done:
            return True
        return any(message.phase == phase for message in self.sent)

    def awaits(self, phase: str) -> bool:
        """Whether an echo of this phase would say something new."""
        return any(message.phase == phase and not message.echoed for message in self.sent)

    def body(self, number: int) -> str | None:
        """Return the bytes (hex) of a message that is done; None if they are kept elsewhere."""
        return self.shown[number - self.kept] if self.kept <= number < self.done else None

    def take_shown(self) -> list[tuple[int, bytes]]:
        """Take out the messages that are done, with their numbers; the caller must keep them."""
        taken = [(self.kept + place, bytes.fromhex(body)) for place, body in enumerate(self.shown)]
        self.kept, self.shown = self.done, []
        return taken

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
shut.upon(Inputs.say).loop().returns(())
shut.upon(Inputs.seen).loop().returns(())
shut.upon(Inputs.put).loop().returns(())
shut.upon(Inputs.echoed).loop().returns(())
flowing.upon(Inputs.flow).loop().returns(())
flowing.upon(Inputs.forget).loop().returns(())
# A peer that has not proved itself has not said that it understands a dilation.
holding.upon(Inputs.say).loop().returns(())
holding.upon(Inputs.seen).loop().returns(())


@holding.upon(Inputs.send).loop()
def hold(inputs: Inputs, data: Outbox, plaintext: str) -> Effects:
    """The application's messages do not leave before the peer has proved itself."""
    data.queued.append(plaintext)
    return ()


@holding.upon(Inputs.forget).loop()
def let_go(inputs: Inputs, data: Outbox) -> Effects:
    """A secret that will never be delivered does not belong in a checkpoint."""
    data.queued = []
    return ()


@flowing.upon(Inputs.send).loop()
def number(inputs: Inputs, data: Outbox, plaintext: str) -> Effects:
    """Each message has a number, by which they are told apart and ordered."""
    phase = str(data.next)
    data.next += 1
    return (Seal(phase, plaintext),)


@flowing.upon(Inputs.say).loop()
def number_dilation(inputs: Inputs, data: Outbox, plaintext: str) -> Effects:
    """They are told apart and ordered by numbers of their own."""
    phase = dilation_phase(data.next_dilation)
    data.next_dilation += 1
    return (Seal(phase, plaintext),)


@flowing.upon(Inputs.seen).loop()
def drop_seen(inputs: Inputs, data: Outbox, count: int) -> Effects:
    """Those that the peer has need not be added again, whatever the server forgets."""
    gone = min(count, data.dilations_done) - data.dilations_seen
    if gone > 0:
        data.dilations = data.dilations[gone:]
        data.dilations_seen += gone
    return ()


@holding.upon(Inputs.flow).to(flowing)
def number_all(inputs: Inputs, data: Outbox) -> Effects:
    """What was held back is sent in the order in which it came."""
    held, data.queued = data.queued, []
    data.next = len(held)
    return tuple(Seal(str(index), plaintext) for index, plaintext in enumerate(held))


@holding.upon(Inputs.put).loop()
@flowing.upon(Inputs.put).loop()
def keep(inputs: Inputs, data: Outbox, phase: str, body: str) -> Effects:
    """A phase has one body, which never changes."""
    if not data.has(phase):
        data.sent.append(Sent(phase, body))
    return ()


@holding.upon(Inputs.echoed).loop()
@flowing.upon(Inputs.echoed).loop()
def mark(inputs: Inputs, data: Outbox, phase: str) -> Effects:
    """A repeated echo says nothing new."""
    for message in data.sent:
        if message.phase == phase and not message.echoed:
            message.echoed = True
            _finish(data)
    return ()


@holding.upon(Inputs.withdraw).loop()
def take_back(inputs: Inputs, data: Outbox) -> Effects:
    """Our half of the key was never seen; what was held back stays."""
    data.sent = []
    return ()


def _finish(data: Outbox) -> None:
    """Move what is done to the lists of done messages, in the order of their numbers."""
    echoed = {message.phase: message for message in data.sent if message.echoed}
    while (message := echoed.get(str(data.done))) is not None:
        data.sent.remove(message)
        data.shown.append(message.body)
    while (message := echoed.get(dilation_phase(data.dilations_done))) is not None:
        data.sent.remove(message)
        data.dilations += (message.body,)


@holding.upon(Inputs.missing).loop()
@flowing.upon(Inputs.missing).loop()
def unmark(inputs: Inputs, data: Outbox) -> Effects:
    """Everything is put there again, as the same bytes.

    Only the nameplate can lead us to a new mailbox, and its work is done when the peer comes: by
    then, none of the application's messages has left.
    """
    for message in data.sent:
        message.echoed = False
    return ()


@holding.upon(Inputs.shut).to(shut)
@flowing.upon(Inputs.shut).to(shut)
def drop(inputs: Inputs, data: Outbox) -> Effects:
    """Free the memory, and what is undelivered; wherever it is kept, it will not be asked for."""
    data.queued = []
    data.sent = []
    data.shown = []
    data.kept = 0
    data.dilations = ()
    data.dilations_seen = 0
    return ()


OUTBOX = blueprint(builder, Inputs.where, Outbox, (holding, flowing, shut))
OutboxPart: TypeAlias = Part[Inputs, Outbox, State]
