"""Our claim on a nameplate, from wanting it to giving it back.

    none -> wanted -> claiming -> claimed -> releasing -> released
     |         |---- doubtful <---'
     |         `---- yielded <- yielding <- doubtful
     `------------------^ `-> lost

`claiming` is entered when the claim is about to be sent: from then on the server may hold a claim
of ours, which must be released before the mailbox is closed. (A side that closes first makes the
server cut the connection at every retry.)

`doubtful` is entered when the server may have forgotten our claim: it may have given the number to
another client since, so we do not claim it again until we know.

If a client has it, and that client may be us, we give it back (`yielding`), which changes nothing
for any other client, and look again (`yielded`): a client that has it now is not us. A number that
we have chosen ourselves begins there.

Specified in server-protocol.md, "Nameplates", which does not say what a server forgets.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from attrs import define, field, frozen
from automat import TypeMachineBuilder

from holdfast.core.machine import Part, blueprint


@frozen
class MailboxFound:
    """The nameplate leads to this mailbox."""

    mailbox: str


Effects: TypeAlias = tuple[MailboxFound, ...]

State: TypeAlias = Literal[
    "none",
    "wanted",
    "claiming",
    "claimed",
    "releasing",
    "released",
    "doubtful",
    "lost",
    "yielding",
    "yielded",
]


class Inputs(Protocol):
    """Everything that can happen to our claim."""

    def want(self, nameplate: str) -> Effects:
        """The code is known, and with it the nameplate."""
        ...

    def seek(self, nameplate: str) -> Effects:
        """The code is known, and its number is to be claimed only if no client has it."""
        ...

    def claim(self) -> Effects:
        """The claim is about to be sent."""
        ...

    def claimed(self, mailbox: str) -> Effects:
        """The server accepted the claim."""
        ...

    def release(self) -> Effects:
        """The nameplate has done its work, or never will."""
        ...

    def released(self) -> Effects:
        """The server confirmed the release."""
        ...

    def doubt(self) -> Effects:
        """The server may have forgotten it."""
        ...

    def free(self) -> Effects:
        """The server has forgotten it, and it is free now."""
        ...

    def keep(self) -> Effects:
        """The server has not forgotten it."""
        ...

    def yield_(self) -> Effects:
        """A client has it, perhaps us."""
        ...

    def lose(self) -> Effects:
        """Another client has it now."""
        ...

    def drop(self) -> Effects:
        """Another client has it, and we shall get a different one."""
        ...

    def where(self) -> State:
        """Name the current state, for the checkpoint."""
        ...


@define
class Nameplate:
    """The data of the nameplate machine."""

    nameplate: str = field(default="", repr=False)


builder = TypeMachineBuilder(Inputs, Nameplate)

none = builder.state("none")
wanted = builder.state("wanted")
claiming = builder.state("claiming")
claimed = builder.state("claimed")
releasing = builder.state("releasing")
released = builder.state("released")
doubtful = builder.state("doubtful")
lost = builder.state("lost")
yielding = builder.state("yielding")
yielded = builder.state("yielded")

wanted.upon(Inputs.claim).to(claiming).returns(())
claiming.upon(Inputs.claim).loop().returns(())
none.upon(Inputs.release).to(released).returns(())
wanted.upon(Inputs.release).to(released).returns(())
claiming.upon(Inputs.release).to(releasing).returns(())
claimed.upon(Inputs.release).to(releasing).returns(())
releasing.upon(Inputs.release).loop().returns(())
released.upon(Inputs.release).loop().returns(())
releasing.upon(Inputs.released).to(released).returns(())
claiming.upon(Inputs.doubt).to(doubtful).returns(())
claimed.upon(Inputs.doubt).to(doubtful).returns(())
doubtful.upon(Inputs.free).to(wanted).returns(())
doubtful.upon(Inputs.keep).to(claimed).returns(())
doubtful.upon(Inputs.lose).to(lost).returns(())
doubtful.upon(Inputs.release).to(lost).returns(())
lost.upon(Inputs.release).loop().returns(())
doubtful.upon(Inputs.yield_).to(yielding).returns(())
yielding.upon(Inputs.released).to(yielded).returns(())
yielding.upon(Inputs.release).to(releasing).returns(())
yielded.upon(Inputs.free).to(wanted).returns(())
yielded.upon(Inputs.lose).to(lost).returns(())
yielded.upon(Inputs.release).to(released).returns(())


@none.upon(Inputs.want).to(wanted)
def remember_nameplate(inputs: Inputs, data: Nameplate, nameplate: str) -> Effects:
    """The next connection will claim it."""
    data.nameplate = nameplate
    return ()


@none.upon(Inputs.seek).to(yielded)
def look_first(inputs: Inputs, data: Nameplate, nameplate: str) -> Effects:
    """The server will be asked whether it is free."""
    data.nameplate = nameplate
    return ()


@lost.upon(Inputs.drop).to(none)
def forget_nameplate(inputs: Inputs, data: Nameplate) -> Effects:
    """The server will give us another."""
    data.nameplate = ""
    return ()


@claiming.upon(Inputs.claimed).to(claimed)
def found_mailbox(inputs: Inputs, data: Nameplate, mailbox: str) -> Effects:
    """Later connections open the mailbox directly."""
    return (MailboxFound(mailbox),)


NAMEPLATE = blueprint(
    builder,
    Inputs.where,
    Nameplate,
    (
        none,
        wanted,
        claiming,
        claimed,
        releasing,
        released,
        doubtful,
        lost,
        yielding,
        yielded,
    ),
)
NameplatePart: TypeAlias = Part[Inputs, Nameplate, State]
