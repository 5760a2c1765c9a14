"""What the two sides say on a new socket before it carries records (dilation-protocol.md); pure.

    fresh ----------> introducing -> shaking_hands -> confirming -> ready -> won
      `--> at_relay -----^

Each says who it is. The leader then begins the Noise handshake, and the follower answers it with
its key confirmation (KCM) behind. With that the socket is `ready` for the leader, who says its own
KCM only where it chooses. So for the follower a socket is `ready` when the leader has chosen it.

From everywhere but `won` there is a way to `lost`. The sockets and the time are in
`holdfast.transit.attempt`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, Protocol, TypeAlias

from attrs import define, field
from automat import TypeMachineBuilder

from holdfast.dilation import records
from holdfast.dilation.errors import ProtocolError
from holdfast.dilation.frames import LENGTH, frame
from holdfast.dilation.noise import MESSAGE_LENGTH, TAG_LENGTH, Cipher, Noise
from holdfast.transit.handshake import Effects, Lost, Paired, Pause, Ready, Send, Won
from holdfast.transit.keys import TransitKeys

OK: Final = b"ok\n"
LEADER: Final = b"Magic-Wormhole Dilation Handshake v1 Leader\n\n"
FOLLOWER: Final = b"Magic-Wormhole Dilation Handshake v1 Follower\n\n"
KCM: Final = records.write(records.Kcm())

KEPT: Final = 256 * 1024
"""Bytes behind the leader's KCM after which no more is read before we have chosen.

The leader sends what is unacknowledged at once."""

Role: TypeAlias = Literal["leader", "follower"]
State: TypeAlias = Literal[
    "fresh", "at_relay", "introducing", "shaking_hands", "confirming", "ready", "won", "lost"
]


class Inputs(Protocol):
    """Everything that can happen to a greeting."""

    def begin(self) -> Effects:
        """The socket leads to the other side."""
        ...

    def begin_at_relay(self) -> Effects:
        """The socket leads to a relay."""
        ...

    def paired(self) -> Effects:
        """The relay said `ok`."""
        ...

    def introduced(self) -> Effects:
        """The other side said who it is."""
        ...

    def shook_hands(self) -> Effects:
        """Its message of the Noise handshake came, and was right."""
        ...

    def confirmed(self) -> Effects:
        """Its KCM came."""
        ...

    def choose(self, leftover: bytes) -> Effects:
        """We want this socket; `leftover` has come since."""
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


@define
class Ours:
    """What is said on this socket, and how it is encrypted."""

    line: bytes = field(repr=False)
    relay: bytes = field(repr=False)
    noise: Noise = field(repr=False)

    def handshake(self) -> Send:
        """Our message of the Noise handshake."""
        message = self.noise.write()
        return Send(LENGTH.pack(len(message)) + message)

    def kcm(self) -> Send:
        """Our key confirmation."""
        sending, _ = self.noise.ciphers()
        return Send(frame(sending, KCM))


leader = TypeMachineBuilder(Inputs, Ours)
leader_fresh = leader.state("fresh")
leader_at_relay = leader.state("at_relay")
leader_introducing = leader.state("introducing")
leader_shaking_hands = leader.state("shaking_hands")
leader_confirming = leader.state("confirming")
leader_ready = leader.state("ready")
leader_won = leader.state("won")
leader_lost = leader.state("lost")

follower = TypeMachineBuilder(Inputs, Ours)
follower_fresh = follower.state("fresh")
follower_at_relay = follower.state("at_relay")
follower_introducing = follower.state("introducing")
follower_shaking_hands = follower.state("shaking_hands")
follower_confirming = follower.state("confirming")
follower_ready = follower.state("ready")
follower_won = follower.state("won")
follower_lost = follower.state("lost")

follower_introducing.upon(Inputs.introduced).to(follower_shaking_hands).returns(())
leader_shaking_hands.upon(Inputs.shook_hands).to(leader_confirming).returns(())
leader_confirming.upon(Inputs.confirmed).to(leader_ready).returns((Ready(),))
follower_confirming.upon(Inputs.confirmed).to(follower_ready).returns((Ready(),))


@leader_fresh.upon(Inputs.begin).to(leader_introducing)
@follower_fresh.upon(Inputs.begin).to(follower_introducing)
def introduce(inputs: Inputs, ours: Ours) -> Effects:
    """Neither side waits for the other."""
    return (Send(ours.line),)


@leader_fresh.upon(Inputs.begin_at_relay).to(leader_at_relay)
@follower_fresh.upon(Inputs.begin_at_relay).to(follower_at_relay)
def ask_the_relay(inputs: Inputs, ours: Ours) -> Effects:
    """Not one byte more before its answer: it would hang up."""
    return (Send(ours.relay),)


@leader_at_relay.upon(Inputs.paired).to(leader_introducing)
@follower_at_relay.upon(Inputs.paired).to(follower_introducing)
def introduce_through_the_relay(inputs: Inputs, ours: Ours) -> Effects:
    """From here on it is as if the relay were not there."""
    return (Paired(), Send(ours.line))


@leader_introducing.upon(Inputs.introduced).to(leader_shaking_hands)
def begin_the_handshake(inputs: Inputs, ours: Ours) -> Effects:
    """The leader is the initiator."""
    return (ours.handshake(),)


@follower_shaking_hands.upon(Inputs.shook_hands).to(follower_confirming)
def answer_the_handshake(inputs: Inputs, ours: Ours) -> Effects:
    """The follower confirms on every socket, the leader on the one that it chooses."""
    return (ours.handshake(), ours.kcm())


@leader_ready.upon(Inputs.choose).to(leader_won)
def confirm(inputs: Inputs, ours: Ours, leftover: bytes) -> Effects:
    """This tells the follower that the socket is chosen."""
    return (ours.kcm(), Won(leftover))


@follower_ready.upon(Inputs.choose).to(follower_won)
def follow(inputs: Inputs, ours: Ours, leftover: bytes) -> Effects:
    """The leader has chosen it already."""
    return (Won(leftover),)


def give_up(inputs: Inputs, ours: Ours, reason: str) -> Effects:
    """There is nothing to say to whoever said something wrong."""
    return (Lost(reason),)


def leave(inputs: Inputs, ours: Ours) -> Effects:
    """Close it; nobody has to be told."""
    return (Lost("not needed"),)


STATES: Final[Mapping[Role, tuple[Any, ...]]] = {
    "leader": (
        *(leader_fresh, leader_at_relay, leader_introducing, leader_shaking_hands),
        *(leader_confirming, leader_ready, leader_won, leader_lost),
    ),
    "follower": (
        *(follower_fresh, follower_at_relay, follower_introducing, follower_shaking_hands),
        *(follower_confirming, follower_ready, follower_won, follower_lost),
    ),
}
for states in STATES.values():
    fresh, at_relay, introducing, shaking_hands, confirming, ready, won, lost = states
    for each in (at_relay, introducing, shaking_hands, confirming):
        each.upon(Inputs.lose).to(lost)(give_up)
    for each in (fresh, at_relay, introducing, shaking_hands, confirming, ready):
        each.upon(Inputs.reject).to(lost)(leave)
    for each in (won, lost):
        each.upon(Inputs.reject).loop().returns(())
    for each in states:
        each.upon(Inputs.where).loop().returns(each.name)

MACHINES: Final[Mapping[Role, Callable[..., Inputs]]] = {
    "leader": leader.build(),
    "follower": follower.build(),
}


class NoiseGreeting:
    """The handshake of dilation, at one end of one socket: its machine, behind what reads bytes.

    Args:
        key: the key of this dilation, 32 bytes.
        leader: whether this end is the leader's.
        ephemeral: 32 random bytes, for this socket alone.
        relay_side: our name at the relay that the socket leads to, 16 hexadecimal digits; None if
            it leads to the other side.
    """

    def __init__(
        self, key: bytes, *, leader: bool, ephemeral: bytes, relay_side: str | None = None
    ) -> None:
        line, self._theirs = (LEADER, FOLLOWER) if leader else (FOLLOWER, LEADER)
        relay = b"" if relay_side is None else TransitKeys(key).relay_line(relay_side)
        self._noise = Noise(key, initiator=leader, ephemeral=ephemeral)
        machine = MACHINES["leader" if leader else "follower"]
        self._inputs = machine(Ours(line, relay, self._noise))
        self._at_relay = relay_side is not None
        self._heard = bytearray()
        self._paused = False

    @property
    def state(self) -> State:
        """The name of the machine's state."""
        return self._inputs.where()

    @property
    def ciphers(self) -> tuple[Cipher, Cipher]:
        """What encrypts our frames and what decrypts theirs, once the socket is won."""
        return self._noise.ciphers()

    def begin(self) -> Effects:
        """The socket is open."""
        return self._inputs.begin_at_relay() if self._at_relay else self._inputs.begin()

    def hear(self, data: bytes) -> Effects:
        """These bytes came next; after the end, they are not listened to."""
        effects: Effects = ()
        state = self.state
        if state in ("won", "lost"):
            return effects
        self._heard += data
        while (expected := self._expected(state)) is not None:
            start, size = expected
            if self._heard[: len(start)] != start[: len(self._heard)]:
                return effects + self._inputs.lose(_what_was_wrong(state))
            if len(self._heard) < size:
                return effects
            body = bytes(self._heard[len(start) : size])
            del self._heard[:size]
            effects += self._take(state, body)
            state = self.state
        if state == "ready" and len(self._heard) > KEPT and not self._paused:
            self._paused = True
            effects += (Pause(),)
        return effects

    def choose(self) -> Effects:
        """Use this socket."""
        leftover = bytes(self._heard)
        self._heard.clear()
        return self._inputs.choose(leftover)

    def reject(self) -> Effects:
        """Do not use it."""
        return self._inputs.reject()

    def _expected(self, state: State) -> tuple[bytes, int] | None:
        """How the bytes that come next begin, and how many they are; None if that is not ours."""
        if state == "at_relay":
            return OK, len(OK)
        if state == "introducing":
            return self._theirs, len(self._theirs)
        if state in ("shaking_hands", "confirming"):
            length = MESSAGE_LENGTH if state == "shaking_hands" else len(KCM) + TAG_LENGTH
            return LENGTH.pack(length), LENGTH.size + length
        return None

    def _take(self, state: State, body: bytes) -> Effects:
        """What the expected bytes cause; `body` is what was not known before."""
        try:
            if state == "at_relay":
                return self._inputs.paired()
            if state == "introducing":
                return self._inputs.introduced()
            if state == "shaking_hands":
                self._noise.read(body)
                return self._inputs.shook_hands()
            _, receiving = self._noise.ciphers()
            if receiving.decrypt(body) != KCM:
                return self._inputs.lose("the other side did not confirm its key")
            return self._inputs.confirmed()
        except ProtocolError:
            return self._inputs.lose("the other side has another key")


def _what_was_wrong(state: State) -> str:
    return "the relay refused" if state == "at_relay" else "something else answered"
