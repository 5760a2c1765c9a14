"""Whether the wormhole is well, and how it ends.

    lonely -> happy -> closing -> ended
                  `-> leaving -'

`closing` insists: it reconnects as often as needed until the server has confirmed that nothing of
ours is left. `leaving`, after the server itself failed us, tries once: the loss of the connection,
or another refusal, ends it.

The moods are those of server-protocol.md, "Mailboxes".
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from attrs import define, frozen
from automat import TypeMachineBuilder

from holdfast.core.machine import Part, blueprint


@frozen
class Leave:
    """Give back what the server holds of ours.

    Args:
        mood: what to tell the server.
        deliver: whether the peer must first get what we have for it.
        insist: whether to learn of a nameplate or mailbox that we may have been given.
    """

    mood: str
    deliver: bool
    insist: bool


@frozen
class Ended:
    """It is over."""


Effects: TypeAlias = tuple[Leave | Ended, ...]

State: TypeAlias = Literal["lonely", "happy", "closing", "leaving", "ended"]


class Inputs(Protocol):
    """Everything that decides the mood."""

    def prove(self) -> Effects:
        """The peer has shown that it knows the code."""
        ...

    def close(self) -> Effects:
        """The application is done."""
        ...

    def distrust(self) -> Effects:
        """The peer used a different code, or is malicious."""
        ...

    def fail(self, mood: str, error: str, detail: str) -> Effects:
        """The server or the peer broke the rules."""
        ...

    def give_up(self) -> Effects:
        """Nothing more can be expected of this server."""
        ...

    def finish(self) -> Effects:
        """Nothing of ours is left on the server."""
        ...

    def where(self) -> State:
        """Name the current state, for the checkpoint."""
        ...


@define
class Lifecycle:
    """How it ends: a mood, and the name and words of an error unless that is happy."""

    mood: str = ""
    error: str = ""
    detail: str = ""


builder = TypeMachineBuilder(Inputs, Lifecycle)

lonely = builder.state("lonely")
happy = builder.state("happy")
closing = builder.state("closing")
leaving = builder.state("leaving")
ended = builder.state("ended")

lonely.upon(Inputs.prove).to(happy).returns(())
happy.upon(Inputs.prove).loop().returns(())
for _state in (closing, leaving, ended):
    _state.upon(Inputs.prove).loop().returns(())
    _state.upon(Inputs.close).loop().returns(())
    _state.upon(Inputs.distrust).loop().returns(())
for _state in (lonely, happy, closing, ended):
    _state.upon(Inputs.give_up).loop().returns(())
for _state in (lonely, happy, ended):
    _state.upon(Inputs.finish).loop().returns(())
for _state in (leaving, ended):
    _state.upon(Inputs.fail).loop().returns(())


@lonely.upon(Inputs.close).to(closing)
def close_alone(inputs: Inputs, data: Lifecycle) -> Effects:
    """A peer never proved itself, so none is waiting for our messages."""
    data.mood = "lonely"
    data.error = "LonelyError"
    return (Leave("lonely", deliver=False, insist=True),)


@happy.upon(Inputs.close).to(closing)
def close_well(inputs: Inputs, data: Lifecycle) -> Effects:
    """Everything that was sent arrives first."""
    data.mood = "happy"
    return (Leave("happy", deliver=True, insist=True),)


@lonely.upon(Inputs.distrust).to(closing)
@happy.upon(Inputs.distrust).to(closing)
def close_scared(inputs: Inputs, data: Lifecycle) -> Effects:
    """Our version message is still delivered: it tells the peer that the codes differ."""
    data.mood = "scary"
    data.error = "WrongPasswordError"
    return (Leave("scary", deliver=True, insist=True),)


@lonely.upon(Inputs.fail).to(leaving)
@happy.upon(Inputs.fail).to(leaving)
@closing.upon(Inputs.fail).to(leaving)
def leave(inputs: Inputs, data: Lifecycle, mood: str, error: str, detail: str) -> Effects:
    """The first error is the one that is reported, together with its mood."""
    if data.error in ("", "LonelyError"):
        data.mood, data.error, data.detail = mood, error, detail
    return (Leave(data.mood, deliver=False, insist=False),)


@closing.upon(Inputs.finish).to(ended)
@leaving.upon(Inputs.finish).to(ended)
@leaving.upon(Inputs.give_up).to(ended)
def end(inputs: Inputs, data: Lifecycle) -> Effects:
    """Told once."""
    return (Ended(),)


LIFECYCLE = blueprint(builder, Inputs.where, Lifecycle, (lonely, happy, closing, leaving, ended))
LifecyclePart: TypeAlias = Part[Inputs, Lifecycle, State]
