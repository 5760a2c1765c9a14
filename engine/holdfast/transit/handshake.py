"""What the two sides say on a new socket, until the sender has chosen it (transit.md, "Handshake").

The sender's machine:

    fresh -------------> waiting -> ready -> won
      `---> at_relay ------^

The receiver's has one state more, `chosen`, between `ready` and `won`: it has said its line and
waits for the sender's choice. That line is its point of no return, because the sender takes
whoever says it first.

From everywhere but `won` there is a way to `lost`. The sockets and the time are in
`holdfast.transit.attempt`. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, Protocol, TypeAlias

from attrs import field, frozen
from automat import TypeMachineBuilder

from holdfast.transit.keys import GO, Role, TransitKeys

OK: Final = b"ok\n"
NEVERMIND: Final = b"nevermind\n"


@frozen
class Send:
    """Write this."""

    data: bytes = field(repr=False)


@frozen
class Paired:
    """The relay has found the other side."""


@frozen
class Ready:
    """The other side has proved itself: this socket may be chosen."""


@frozen
class Pause:
    """Enough has come: read no more before this socket is chosen, or rejected."""


@frozen
class Won:
    """Both sides have chosen this socket; `leftover` came after the handshake."""

    leftover: bytes = field(repr=False)


@frozen
class Lost:
    """This socket is of no use: close it. `reason` is a few words."""

    reason: str


Effect: TypeAlias = Send | Paired | Ready | Pause | Won | Lost
Effects: TypeAlias = tuple[Effect, ...]


class Handshake(Protocol):
    """A handshake, as far as the part that connects knows it."""

    def begin(self) -> Effects:
        """The socket is open. Once, and first."""
        ...

    def hear(self, data: bytes) -> Effects:
        """These bytes came next."""
        ...

    def choose(self) -> Effects:
        """Use this socket. Once, after `Ready`."""
        ...

    def reject(self) -> Effects:
        """Do not use it."""
        ...


State: TypeAlias = Literal["fresh", "at_relay", "waiting", "ready", "chosen", "won", "lost"]


class Inputs(Protocol):
    """Everything that can happen to a handshake."""

    def begin(self) -> Effects:
        """The socket leads to the other side."""
        ...

    def begin_at_relay(self) -> Effects:
        """The socket leads to a relay."""
        ...

    def paired(self) -> Effects:
        """The relay said `ok`."""
        ...

    def recognized(self) -> Effects:
        """The other side's line came."""
        ...

    def choose(self) -> Effects:
        """We want this socket."""
        ...

    def accepted(self, leftover: bytes) -> Effects:
        """The sender said `go`, and then `leftover`."""
        ...

    def lose(self, reason: str) -> Effects:
        """The other side, or the relay, said something else."""
        ...

    def reject(self) -> Effects:
        """We do not want this socket."""
        ...

    def where(self) -> State:
        """Name the current state."""
        ...


@frozen
class Lines:
    """What is said on this socket, in whole lines."""

    ours: bytes = field(repr=False)
    theirs: bytes = field(repr=False)
    relay: bytes = field(repr=False)


sender = TypeMachineBuilder(Inputs, Lines)
sender_fresh = sender.state("fresh")
sender_at_relay = sender.state("at_relay")
sender_waiting = sender.state("waiting")
sender_ready = sender.state("ready")
sender_won = sender.state("won")
sender_lost = sender.state("lost")

receiver = TypeMachineBuilder(Inputs, Lines)
receiver_fresh = receiver.state("fresh")
receiver_at_relay = receiver.state("at_relay")
receiver_waiting = receiver.state("waiting")
receiver_ready = receiver.state("ready")
receiver_chosen = receiver.state("chosen")
receiver_won = receiver.state("won")
receiver_lost = receiver.state("lost")

sender_waiting.upon(Inputs.recognized).to(sender_ready).returns((Ready(),))
receiver_fresh.upon(Inputs.begin).to(receiver_waiting).returns(())
receiver_at_relay.upon(Inputs.paired).to(receiver_waiting).returns((Paired(),))
receiver_waiting.upon(Inputs.recognized).to(receiver_ready).returns((Ready(),))
sender_ready.upon(Inputs.choose).to(sender_won).returns((Send(GO), Won(b"")))


@sender_fresh.upon(Inputs.begin).to(sender_waiting)
@receiver_ready.upon(Inputs.choose).to(receiver_chosen)
def say_our_line(inputs: Inputs, lines: Lines) -> Effects:
    """A sender says it at once, so that the other side need not wait to know us."""
    return (Send(lines.ours),)


@sender_fresh.upon(Inputs.begin_at_relay).to(sender_at_relay)
@receiver_fresh.upon(Inputs.begin_at_relay).to(receiver_at_relay)
def ask_the_relay(inputs: Inputs, lines: Lines) -> Effects:
    """Not one byte more before its answer: it would hang up."""
    return (Send(lines.relay),)


@sender_at_relay.upon(Inputs.paired).to(sender_waiting)
def say_our_line_through_the_relay(inputs: Inputs, lines: Lines) -> Effects:
    """From here on it is as if the relay were not there."""
    return (Paired(), Send(lines.ours))


@receiver_chosen.upon(Inputs.accepted).to(receiver_won)
def take_it(inputs: Inputs, lines: Lines, leftover: bytes) -> Effects:
    """What follows the sender's `go` is the application's."""
    return (Won(leftover),)


def give_up(inputs: Inputs, lines: Lines, reason: str) -> Effects:
    """A sender that said something wrong will not understand more; neither will a receiver."""
    return (Lost(reason),)


def leave(inputs: Inputs, lines: Lines) -> Effects:
    """Close it; nobody has to be told."""
    return (Lost("not needed"),)


@sender_waiting.upon(Inputs.reject).to(sender_lost)
@sender_ready.upon(Inputs.reject).to(sender_lost)
def say_nevermind(inputs: Inputs, lines: Lines) -> Effects:
    """Some receivers wait until each of their sockets has ended, or has an answer."""
    return (Send(NEVERMIND), Lost("not needed"))


for state in (sender_at_relay, sender_waiting, sender_ready):
    state.upon(Inputs.lose).to(sender_lost)(give_up)
for state in (sender_fresh, sender_at_relay):
    state.upon(Inputs.reject).to(sender_lost)(leave)
for state in (receiver_at_relay, receiver_waiting, receiver_ready, receiver_chosen):
    state.upon(Inputs.lose).to(receiver_lost)(give_up)
for state in (
    *(receiver_fresh, receiver_at_relay, receiver_waiting),
    *(receiver_ready, receiver_chosen),
):
    state.upon(Inputs.reject).to(receiver_lost)(leave)
for state in (sender_won, sender_lost, receiver_won, receiver_lost):
    state.upon(Inputs.reject).loop().returns(())

STATES: Final[Mapping[Role, tuple[Any, ...]]] = {
    "sender": (
        *(sender_fresh, sender_at_relay, sender_waiting),
        *(sender_ready, sender_won, sender_lost),
    ),
    "receiver": (
        *(receiver_fresh, receiver_at_relay, receiver_waiting, receiver_ready),
        *(receiver_chosen, receiver_won, receiver_lost),
    ),
}
for each in (*STATES["sender"], *STATES["receiver"]):
    each.upon(Inputs.where).loop().returns(each.name)

MACHINES: Final[Mapping[Role, Callable[..., Inputs]]] = {
    "sender": sender.build(),
    "receiver": receiver.build(),
}


class LineHandshake:
    """The handshake of transit, at one end of one socket: its machine, behind what reads lines.

    Args:
        keys: those of this transfer.
        role: whether this end is the sender's or the receiver's.
        relay_side: our name at the relay that the socket leads to, 16 hexadecimal digits; None if
            it leads to the other side.
    """

    def __init__(self, keys: TransitKeys, role: Role, relay_side: str | None = None) -> None:
        ours, theirs = keys.sender_line, keys.receiver_line
        if role == "receiver":
            ours, theirs = theirs, ours
        self._theirs = theirs
        self._role = role
        self._at_relay = relay_side is not None
        relay = b"" if relay_side is None else keys.relay_line(relay_side)
        self._inputs = MACHINES[role](Lines(ours, theirs, relay))
        self._heard = bytearray()

    @property
    def state(self) -> State:
        """The name of the machine's state."""
        return self._inputs.where()

    def begin(self) -> Effects:
        """The socket is open."""
        return self._inputs.begin_at_relay() if self._at_relay else self._inputs.begin()

    def hear(self, data: bytes) -> Effects:
        """These bytes came next; after the end, they are not listened to."""
        if self.state in ("won", "lost"):
            return ()
        self._heard += data
        effects: Effects = ()
        while self._heard and (more := self._next_line()):
            effects += more
        return effects

    def choose(self) -> Effects:
        """Use this socket."""
        return self._inputs.choose()

    def reject(self) -> Effects:
        """Do not use it."""
        return self._inputs.reject()

    def _next_line(self) -> Effects:
        """What the next line causes; nothing if it is not whole. It may be the first wrong byte."""
        if self.state in ("won", "lost"):
            return ()
        for line, happens in self._lines():
            if self._heard.startswith(line):
                del self._heard[: len(line)]
                return happens()
            if line.startswith(self._heard):
                return ()
        return self._inputs.lose(self._what_was_wrong())

    def _lines(self) -> Iterable[tuple[bytes, Callable[[], Effects]]]:
        """What may come next, and what it means."""
        inputs, state = self._inputs, self.state
        if state == "at_relay":
            yield OK, inputs.paired
        elif state == "waiting":
            yield self._theirs, inputs.recognized
        elif state == "chosen":
            yield GO, lambda: inputs.accepted(bytes(self._heard))
        if state in ("ready", "chosen") and self._role == "receiver":
            yield NEVERMIND, lambda: inputs.lose("the other side chose another connection")

    def _what_was_wrong(self) -> str:
        if self.state == "at_relay":
            return "the relay refused"
        return "something else answered"
