"""The machine of a dilated wormhole: whether to dilate, who leads, and when to connect anew.

    waiting -> wanting -> leading <-> flushing
                     `--> following            | refused | stopped

Being connected is not part of the state; wanting to be is. Whoever drives the machine connects when
it hears `StartContest`, and tells how that went. Everything else is JSON values, which are saved in
the same commits as the phases `dilate-N` that are heard and said: after a restart the peer sees a
lost connection and a new one, and nothing else.

The rules are those of the peers that exist (dilation-protocol.rst, "Initiating Dilation"; stock
is `magic-wormhole` 0.24, which ends its whole wormhole at many messages that it does not expect):

- `please` is said once in a wormhole's life, after the peer has said that it can dilate.
- The leader says `reconnect`, and not again before the follower has answered `reconnecting`; the
  follower answers each once, and never says `reconnect` itself.
- Hints count from the second `please` on, but not between `reconnect` and its answer: those are of
  a connection that has been given up.
- What makes no sense in a state changes nothing. `Ignored` tells it to a log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, Protocol, TypeAlias, cast

from attrs import define, field, frozen
from attrs.validators import ge, in_, matches_re
from automat import TypeMachineBuilder

from holdfast.core.machine import blueprint
from holdfast.dilation.control import Control, Ignored, Please, Reconnect, Reconnecting
from holdfast.transit.hints import Hint, encode, limited, parse

# Effects: what the machine asks of whoever drives it.


@frozen
class Say:
    """Tell the peer, in the next phase `dilate-N`."""

    control: Control


@frozen
class StartContest:
    """Connect: drop the connection and the contest that there are, listen, then tell our hints.

    Args:
        leader: whether we choose the connection.
        generation: how many contests there have been, this one included.
    """

    leader: bool
    generation: int


@frozen
class Dial:
    """The peer can be reached there; a contest is going on."""

    hints: tuple[Hint, ...]


@frozen
class Ready:
    """There is a connection."""


@frozen
class Drop:
    """Abort the connection and the contest that there are. No matter if there are none."""


Reason: TypeAlias = Literal["old peer", "reflected", "began anew", "gone"]

WORDS: Final[dict[Reason, str]] = {
    "old peer": "the other side cannot dilate",
    "reflected": "what came back were our own messages",
    "began anew": "the other side has begun anew and forgotten everything",
    "gone": "the other side has been away for too long",
}
"""Why there is no dilation, for people."""


@frozen
class Refused:
    """There is no dilation, or no longer."""

    reason: Reason


Effect: TypeAlias = Say | StartContest | Dial | Ready | Drop | Refused | Ignored
Effects: TypeAlias = tuple[Effect, ...]

State: TypeAlias = Literal[
    "waiting", "wanting", "leading", "flushing", "following", "refused", "stopped"
]


class Inputs(Protocol):
    """Everything that can happen to the machine, once it is known what it means."""

    def want(self, now: float) -> Effects:
        """The application has asked, and the peer can."""
        ...

    def lead(self) -> Effects:
        """The peer's `please` has the lower name."""
        ...

    def follow(self) -> Effects:
        """The peer's `please` has the higher name."""
        ...

    def refuse(self, reason: Reason) -> Effects:
        """It cannot be, or cannot go on."""
        ...

    def hints(self, hints: tuple[Hint, ...]) -> Effects:
        """The peer can be reached there."""
        ...

    def reconnect(self, now: float) -> Effects:
        """The leader has lost the connection."""
        ...

    def reconnecting(self) -> Effects:
        """The follower has answered."""
        ...

    def connected(self) -> Effects:
        """A connection was chosen."""
        ...

    def lost(self, now: float) -> Effects:
        """The chosen connection is gone."""
        ...

    def resumed(self, now: float) -> Effects:
        """The process was another one when something last happened."""
        ...

    def stop(self) -> Effects:
        """The wormhole ends."""
        ...

    def where(self) -> State:
        """Name the current state, for the checkpoint."""
        ...


@define
class Data:
    """The data of the machine.

    Args:
        side: our name in `please`, 16 hexadecimal digits, for ever.
        dilated: whether the application has asked for it.
        able: whether the peer can; None as long as it is not known.
        theirs: the peer's name; empty as long as it has not said `please`.
        holdfast: whether the peer is one of our own.
        generation: how many contests there have been.
        lost_at: since when there has been no connection to a peer that can, in seconds since the
            epoch; None before there is such a peer, and while there is a connection.
        closing: whether the application has closed the wormhole.
        dialled: the peer's hints in this generation, as JSON.
        reason: why it was refused; empty if it was not.
    """

    side: str = field(validator=matches_re("[0-9a-f]{16}"))
    dilated: bool = False
    able: bool | None = None
    theirs: str = ""
    holdfast: bool = False
    generation: int = field(default=0, validator=ge(0))
    lost_at: float | None = None
    closing: bool = False
    dialled: list[dict[str, Any]] = field(factory=list, repr=False)
    reason: str = field(default="", validator=in_(("", *WORDS)))


builder = TypeMachineBuilder(Inputs, Data)

waiting = builder.state("waiting")
wanting = builder.state("wanting")
leading = builder.state("leading")
flushing = builder.state("flushing")
following = builder.state("following")
refused = builder.state("refused")
stopped = builder.state("stopped")

STATES = (waiting, wanting, leading, flushing, following, refused, stopped)


def start(data: Data, *, leader: bool) -> StartContest:
    """Begin a new generation, to which no hint of an older one belongs."""
    data.generation += 1
    data.dialled = []
    return StartContest(leader, data.generation)


def miss(data: Data, now: float) -> None:
    """There is no connection; the first of several losses counts."""
    if data.lost_at is None:
        data.lost_at = now


@waiting.upon(Inputs.want).to(wanting)
def ask(inputs: Inputs, data: Data, now: float) -> Effects:
    """The one `please`. Peers that cannot dilate may crash at it."""
    miss(data, now)
    return (Say(Please(data.side)),)


@wanting.upon(Inputs.lead).to(leading)
@flushing.upon(Inputs.reconnecting).to(leading)
def connect_as_leader(inputs: Inputs, data: Data) -> Effects:
    """Both are ready for a connection."""
    return (start(data, leader=True),)


@wanting.upon(Inputs.follow).to(following)
def connect_as_follower(inputs: Inputs, data: Data) -> Effects:
    """Both are ready for a connection."""
    return (start(data, leader=False),)


@leading.upon(Inputs.hints).loop()
@following.upon(Inputs.hints).loop()
def dial(inputs: Inputs, data: Data, hints: tuple[Hint, ...]) -> Effects:
    """Hints that came before are dialled again: that is what a peer repeats them for.

    They are kept until there is a connection: a leader that told them before we died will not tell
    them again. If there are too many, the latest stay.
    """
    if data.lost_at is None or not hints:
        return ()
    data.dialled = encode(limited((*hints, *parse(data.dialled))))
    return (Dial(hints),)


@leading.upon(Inputs.connected).loop()
@following.upon(Inputs.connected).loop()
def be_ready(inputs: Inputs, data: Data) -> Effects:
    """The next connection will be of another generation, with other hints."""
    data.lost_at = None
    data.dialled = []
    return (Ready(),)


@leading.upon(Inputs.lost).to(flushing)
@leading.upon(Inputs.resumed).to(flushing)
def ask_for_another(inputs: Inputs, data: Data, now: float) -> Effects:
    """The follower has to give up the connection too: it may not know that it is gone."""
    miss(data, now)
    return (Drop(), Say(Reconnect()))


@following.upon(Inputs.lost).loop()
def wait_for_reconnect(inputs: Inputs, data: Data, now: float) -> Effects:
    """The leader will say `reconnect`."""
    miss(data, now)
    return (Drop(),)


@following.upon(Inputs.reconnect).loop()
def reconnect_as_told(inputs: Inputs, data: Data, now: float) -> Effects:
    """Answered whether or not there is a connection or a contest."""
    miss(data, now)
    return (Say(Reconnecting()), start(data, leader=False))


@following.upon(Inputs.resumed).loop()
def offer_hints_again(inputs: Inputs, data: Data, now: float) -> Effects:
    """The leader may still be connecting; if it is not, fresh hints do no harm.

    For the leader it is the same generation, so the hints that it told us still count.
    """
    miss(data, now)
    told = data.dialled
    effects: Effects = (start(data, leader=False),)
    data.dialled = told
    return (*effects, Dial(parse(told))) if told else effects


@refused.upon(Inputs.resumed).loop()
def tell_again(inputs: Inputs, data: Data, now: float) -> Effects:
    """The process that was told may have died over it."""
    return (Refused(cast(Reason, data.reason)),)


@waiting.upon(Inputs.stop).to(stopped)
@wanting.upon(Inputs.stop).to(stopped)
@leading.upon(Inputs.stop).to(stopped)
@flushing.upon(Inputs.stop).to(stopped)
@following.upon(Inputs.stop).to(stopped)
def end(inputs: Inputs, data: Data) -> Effects:
    """The peer sees a lost connection: nothing in the protocol says good-bye."""
    return (Drop(),)


@waiting.upon(Inputs.refuse).to(refused)
@wanting.upon(Inputs.refuse).to(refused)
@leading.upon(Inputs.refuse).to(refused)
@flushing.upon(Inputs.refuse).to(refused)
@following.upon(Inputs.refuse).to(refused)
def give_up(inputs: Inputs, data: Data, reason: Reason) -> Effects:
    """What is going on ends."""
    data.reason = reason
    return (Drop(), Refused(reason))


# What changes nothing, in each state.

IGNORES: Final[Mapping[Any, tuple[Any, ...]]] = {
    waiting: (Inputs.lead, Inputs.follow, Inputs.hints, Inputs.lost, Inputs.resumed),
    wanting: (Inputs.want, Inputs.hints, Inputs.lost, Inputs.resumed),
    leading: (Inputs.want, Inputs.lead, Inputs.follow),
    flushing: (
        *(Inputs.want, Inputs.lead, Inputs.follow, Inputs.hints),
        *(Inputs.lost, Inputs.resumed),
    ),
    following: (Inputs.want, Inputs.lead, Inputs.follow),
    refused: (
        *(Inputs.want, Inputs.lead, Inputs.follow, Inputs.refuse, Inputs.hints),
        *(Inputs.reconnect, Inputs.reconnecting, Inputs.lost, Inputs.stop),
    ),
    stopped: (
        *(Inputs.want, Inputs.lead, Inputs.follow, Inputs.refuse, Inputs.hints),
        *(Inputs.reconnect, Inputs.reconnecting, Inputs.lost, Inputs.resumed, Inputs.stop),
    ),
}

for _state, _inputs in IGNORES.items():
    for _input in _inputs:
        _state.upon(_input).loop().returns(())
for _state in (waiting, wanting, leading, flushing):
    _state.upon(Inputs.reconnect).loop().returns((Ignored("a reconnect out of turn"),))
for _state in (waiting, wanting, leading, following):
    _state.upon(Inputs.reconnecting).loop().returns((Ignored("a reconnecting out of turn"),))
for _state in (waiting, wanting, flushing, refused, stopped):
    _state.upon(Inputs.connected).loop().returns((Drop(),))

MANAGER = blueprint(builder, Inputs.where, Data, STATES)
