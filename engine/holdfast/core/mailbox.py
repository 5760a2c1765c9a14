"""Our side of the mailbox.

    unknown -> open -> closing -> closed

After the server has forgotten it, it is `unknown` or `open` again: it is then another mailbox, to
which the nameplate now leads.

Specified in server-protocol.md, "Mailboxes".
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from attrs import define
from automat import TypeMachineBuilder

from holdfast.core.machine import Part, blueprint

Effects: TypeAlias = tuple[()]

State: TypeAlias = Literal["unknown", "open", "closing", "closed"]


class Inputs(Protocol):
    """Everything that can happen to our side of the mailbox."""

    def found(self, mailbox: str) -> Effects:
        """The nameplate led us here."""
        ...

    def close(self, mood: str) -> Effects:
        """We are done with it."""
        ...

    def closed(self) -> Effects:
        """The server confirmed, or there is nothing left to confirm."""
        ...

    def forget(self) -> Effects:
        """It never held anything of ours, and the nameplate will lead to another."""
        ...

    def where(self) -> State:
        """Name the current state, for the checkpoint."""
        ...


@define
class Mailbox:
    """The data of the mailbox machine."""

    mailbox: str = ""
    mood: str = ""


builder = TypeMachineBuilder(Inputs, Mailbox)

unknown = builder.state("unknown")
open_ = builder.state("open")
closing = builder.state("closing")
closed = builder.state("closed")

unknown.upon(Inputs.close).to(closed).returns(())
closed.upon(Inputs.close).loop().returns(())
closing.upon(Inputs.closed).to(closed).returns(())
open_.upon(Inputs.forget).to(unknown).returns(())


@unknown.upon(Inputs.found).to(open_)
@closed.upon(Inputs.found).to(open_)
def remember_mailbox(inputs: Inputs, data: Mailbox, mailbox: str) -> Effects:
    """Every connection from now on opens it."""
    data.mailbox = mailbox
    return ()


@open_.upon(Inputs.close).to(closing)
@closing.upon(Inputs.close).loop()
def remember_mood(inputs: Inputs, data: Mailbox, mood: str) -> Effects:
    """A later mood replaces an earlier one: a happy close may still turn sour."""
    data.mood = mood
    return ()


MAILBOX = blueprint(builder, Inputs.where, Mailbox, (unknown, open_, closing, closed))
MailboxPart: TypeAlias = Part[Inputs, Mailbox, State]
