"""Agreeing on a key with the peer by SPAKE2, and learning that it is the same key.

    fresh -> started -> agreed -> confirmed
      `-> answered ---'

A half for a code that is dropped is dropped too, and leads back to `fresh`.

`agreed` means only that a client answered. The first message that decrypts confirms the key.
The arithmetic is in `holdfast.crypto`; its results come in as inputs, a bad one as another input.

Specified in client-protocol.md, "Pake" and "Version exchange".
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from attrs import define, field
from automat import TypeMachineBuilder

from holdfast.core.documents import Hex
from holdfast.core.machine import Part, blueprint

Effects: TypeAlias = tuple[()]

State: TypeAlias = Literal["fresh", "started", "answered", "agreed", "confirmed", "refused"]


class Inputs(Protocol):
    """Everything that can happen during the key exchange."""

    def start(self, scalar: str) -> Effects:
        """The code is known; `scalar` (hex) is our secret half."""
        ...

    def keep(self, theirs: str) -> Effects:
        """The peer's half (hex) arrived before our code did."""
        ...

    def drop(self) -> Effects:
        """There will be another code; our half was never seen."""
        ...

    def agree(self, key: str) -> Effects:
        """Both halves are there and make this `key` (hex)."""
        ...

    def refuse(self) -> Effects:
        """The peer's half cannot have come from an honest client."""
        ...

    def confirm(self) -> Effects:
        """A message of the peer decrypted."""
        ...

    def where(self) -> State:
        """Name the current state, for the checkpoint."""
        ...


@define
class Key:
    """The data of the key machine, all secret, all hex."""

    scalar: Hex = field(default="", repr=False)
    theirs: Hex = field(default="", repr=False)
    key: Hex = field(default="", repr=False)


builder = TypeMachineBuilder(Inputs, Key)

fresh = builder.state("fresh")
started = builder.state("started")
answered = builder.state("answered")
agreed = builder.state("agreed")
confirmed = builder.state("confirmed")
refused = builder.state("refused")

agreed.upon(Inputs.confirm).to(confirmed).returns(())
confirmed.upon(Inputs.confirm).loop().returns(())


@fresh.upon(Inputs.start).to(started)
def keep_scalar(inputs: Inputs, data: Key, scalar: str) -> Effects:
    """It is needed once more, when the peer's half comes."""
    data.scalar = scalar
    return ()


@started.upon(Inputs.drop).to(fresh)
def drop_scalar(inputs: Inputs, data: Key) -> Effects:
    """A half belongs to one code."""
    data.scalar = ""
    return ()


@fresh.upon(Inputs.keep).to(answered)
def keep_theirs(inputs: Inputs, data: Key, theirs: str) -> Effects:
    """It cannot be used until there is a code."""
    data.theirs = theirs
    return ()


@started.upon(Inputs.agree).to(agreed)
@answered.upon(Inputs.agree).to(agreed)
def keep_key(inputs: Inputs, data: Key, key: str) -> Effects:
    """The halves have done their work; a checkpoint need not carry them further."""
    data.key = key
    data.scalar = data.theirs = ""
    return ()


@fresh.upon(Inputs.refuse).to(refused)
@started.upon(Inputs.refuse).to(refused)
@answered.upon(Inputs.refuse).to(refused)
def forget_halves(inputs: Inputs, data: Key) -> Effects:
    """There will be no key."""
    data.scalar = data.theirs = ""
    return ()


KEY = blueprint(builder, Inputs.where, Key, (fresh, started, answered, agreed, confirmed, refused))
KeyPart: TypeAlias = Part[Inputs, Key, State]
