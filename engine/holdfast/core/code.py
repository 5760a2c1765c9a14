"""How a wormhole gets its code: it is given, or the server allots a nameplate, or it is typed.

    unset -> known
    unset -> wanted -> asked -> known
    unset -> typing -> typing_words -> known

`known` is also reached when we choose the number ourselves (`choose`), without the server: a long
one, of which it is then asked whether it is free.

`asked` is entered when the request is about to be sent, so that a wormhole that never asked
leaves nothing behind on the server.

A code that the application was never told can be replaced, which leads from `known` to `wanted`,
or to another number of our own.

How a nameplate is allocated is specified in server-protocol.md, "Nameplates".
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from attrs import define, field, frozen
from automat import TypeMachineBuilder

from holdfast.codes import make, split
from holdfast.core.documents import Hex
from holdfast.core.machine import Part, blueprint


@frozen
class NameplateKnown:
    """The nameplate must be claimed."""

    nameplate: str = field(repr=False)


@frozen
class NameplateChosen:
    """The nameplate must be claimed if no other client has it."""

    nameplate: str = field(repr=False)


@frozen
class CodeKnown:
    """The code is complete."""

    code: str = field(repr=False)


Effects: TypeAlias = tuple[NameplateKnown | NameplateChosen | CodeKnown, ...]

State: TypeAlias = Literal[
    "unset",
    "wanted",
    "asked",
    "typing",
    "typing_words",
    "known",
    "abandoned",
]


class Inputs(Protocol):
    """Everything that can happen to the code."""

    def allocate(self, draw: str, *, discreet: bool = False) -> Effects:
        """The application wants a new code; `draw` (hex) chooses its words, a byte for each."""
        ...

    def enter(self, code: str, *, discreet: bool = False, again: bool = False) -> Effects:
        """The application has a complete code; `again` if it is ours, and people have it."""
        ...

    def choose(self, code: str, *, discreet: bool = False) -> Effects:
        """We have made a complete code, whose number somebody else may have."""
        ...

    def type(self, *, discreet: bool = False) -> Effects:
        """Somebody is about to type a code."""
        ...

    def choose_nameplate(self, nameplate: str) -> Effects:
        """The nameplate is typed."""
        ...

    def choose_words(self, words: str) -> Effects:
        """The words are typed."""
        ...

    def ask(self) -> Effects:
        """The request for a nameplate is about to be sent."""
        ...

    def allocated(self, nameplate: str) -> Effects:
        """The server gave us a nameplate."""
        ...

    def tell(self) -> Effects:
        """The code works now, or a peer has come with it: it may be told."""
        ...

    def again(self, draw: str) -> Effects:
        """Another client has its nameplate: another code is wanted; `draw` as for `allocate`."""
        ...

    def choose_again(self, code: str) -> Effects:
        """Another client has its nameplate, which we chose: this is another one of ours."""
        ...

    def abandon(self) -> Effects:
        """A code will not be needed any more."""
        ...

    def where(self) -> State:
        """Name the current state, for the checkpoint."""
        ...


@define
class Code:
    """The data of the code machine.

    Args:
        draw: hex, chooses the words that wait for their nameplate.
        code: the code, once it is complete.
        nameplate: typed, and waits for its words.
        allocated: whether its nameplate came from the server, or from us: from nobody who expects
            to meet us there.
        digits: how many the number has that we have chosen ourselves; 0 if we have not.
        shared: whether people have it from an earlier wormhole, so that no other code will do.
        untold: whether the application is told it only once it works, and has not been told yet.
    """

    draw: Hex = field(default="", repr=False)
    code: str = field(default="", repr=False)
    nameplate: str = field(default="", repr=False)
    allocated: bool = False
    digits: int = 0
    shared: bool = False
    untold: bool = False


builder = TypeMachineBuilder(Inputs, Code)

unset = builder.state("unset")
wanted = builder.state("wanted")
asked = builder.state("asked")
typing = builder.state("typing")
typing_words = builder.state("typing_words")
known = builder.state("known")
abandoned = builder.state("abandoned")

wanted.upon(Inputs.ask).to(asked).returns(())
asked.upon(Inputs.ask).loop().returns(())
unset.upon(Inputs.abandon).to(abandoned).returns(())
wanted.upon(Inputs.abandon).to(abandoned).returns(())
asked.upon(Inputs.abandon).to(abandoned).returns(())
typing.upon(Inputs.abandon).to(abandoned).returns(())
typing_words.upon(Inputs.abandon).to(abandoned).returns(())


@unset.upon(Inputs.allocate).to(wanted)
def keep_draw(inputs: Inputs, data: Code, draw: str, *, discreet: bool = False) -> Effects:
    """The nameplate will come in front of the words."""
    data.draw = draw
    data.untold = discreet
    return ()


@unset.upon(Inputs.enter).to(known)
def take_code(
    inputs: Inputs, data: Code, code: str, *, discreet: bool = False, again: bool = False
) -> Effects:
    """Nothing is missing."""
    data.code = code
    data.untold = discreet
    data.allocated = data.shared = again
    nameplate = split(code)[0]
    return (NameplateChosen(nameplate) if again else NameplateKnown(nameplate), CodeKnown(code))


@unset.upon(Inputs.choose).to(known)
def choose_code(inputs: Inputs, data: Code, code: str, *, discreet: bool = False) -> Effects:
    """Nothing is missing, if the number is free."""
    data.code = code
    data.digits = len(split(code)[0])
    data.allocated = True
    data.untold = discreet
    return (NameplateChosen(split(code)[0]), CodeKnown(code))


@unset.upon(Inputs.type).to(typing)
def begin_typing(inputs: Inputs, data: Code, *, discreet: bool = False) -> Effects:
    """The nameplate comes first."""
    data.untold = discreet
    return ()


@typing.upon(Inputs.choose_nameplate).to(typing_words)
def keep_nameplate(inputs: Inputs, data: Code, nameplate: str) -> Effects:
    """It is claimed while the words are being typed."""
    data.nameplate = nameplate
    return (NameplateKnown(nameplate),)


@typing_words.upon(Inputs.choose_words).to(known)
def add_words(inputs: Inputs, data: Code, words: str) -> Effects:
    """The nameplate is claimed already, or about to be."""
    data.code = f"{data.nameplate}-{words}"
    data.nameplate = ""
    return (CodeKnown(data.code),)


@asked.upon(Inputs.allocated).to(known)
def put_together(inputs: Inputs, data: Code, nameplate: str) -> Effects:
    """The code is the nameplate, a hyphen and the words."""
    draw = bytes.fromhex(data.draw)
    data.code = make(nameplate, draw, len(draw))
    data.draw = ""
    data.allocated = True
    return (NameplateKnown(nameplate), CodeKnown(data.code))


@known.upon(Inputs.tell).loop()
def note_told(inputs: Inputs, data: Code) -> Effects:
    """From now on others may know it."""
    data.untold = False
    return ()


@known.upon(Inputs.again).to(wanted)
def drop_code(inputs: Inputs, data: Code, draw: str) -> Effects:
    """The application was never told it, so it will not be missed."""
    data.draw = draw
    data.code = ""
    data.allocated = False
    return ()


@known.upon(Inputs.choose_again).loop()
def replace_code(inputs: Inputs, data: Code, code: str) -> Effects:
    """The application was never told the other, so it will not be missed."""
    data.code = code
    return (NameplateChosen(split(code)[0]), CodeKnown(code))


CODE = blueprint(
    builder, Inputs.where, Code, (unset, wanted, asked, typing, typing_words, known, abandoned)
)
CodePart: TypeAlias = Part[Inputs, Code, State]
