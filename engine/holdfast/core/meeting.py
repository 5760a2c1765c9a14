"""How the two sides find each other: a code, its nameplate, and the mailbox that it leads to.

The three machines of this part of an exchange are `code`, `nameplate` and `mailbox`.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from holdfast.core.code import CODE, Code, CodePart, NameplateChosen, NameplateKnown
from holdfast.core.code import Effects as CodeEffects
from holdfast.core.frames import Allocate, Claim, Frame
from holdfast.core.mailbox import MAILBOX, Mailbox, MailboxPart
from holdfast.core.nameplate import NAMEPLATE, Nameplate, NameplatePart


@define
class Meeting:
    """What we hold on the server, or may hold there, or want to."""

    code: CodePart = field(factory=lambda: CODE.begin(Code()))
    nameplate: NameplatePart = field(factory=lambda: NAMEPLATE.begin(Nameplate()))
    mailbox: MailboxPart = field(factory=lambda: MAILBOX.begin(Mailbox()))

    @property
    def given_back(self) -> bool:
        """Whether nothing of ours is left on the server."""
        return (
            self.code.is_in("known", "abandoned")
            and self.nameplate.is_in("none", "released", "lost")
            and self.mailbox.is_in("unknown", "closed")
        )

    def saying(self, frames: Iterable[Frame]) -> bool:
        """Note what is about to be said; return whether that changed anything."""
        changed = False
        for frame in frames:
            if isinstance(frame, Allocate):
                changed |= self.code.state != "asked"
                self.code.change().ask()
            elif isinstance(frame, Claim):
                changed |= self.nameplate.state != "claiming"
                self.nameplate.change().claim()
        return changed

    def know(self, effects: CodeEffects) -> str | None:
        """Want the nameplate that is known now; return the code once it is complete."""
        code = None
        for known in effects:
            if isinstance(known, NameplateKnown):
                self.nameplate.change().want(known.nameplate)
            elif isinstance(known, NameplateChosen):
                self.nameplate.change().seek(known.nameplate)
            else:
                code = known.code
        return code

    def claimed(self, mailbox: str) -> None:
        """The nameplate leads to `mailbox`."""
        for found in self.nameplate.change().claimed(mailbox):
            self.mailbox.change().found(found.mailbox)

    def met(self) -> bool:
        """The peer is in the mailbox: the nameplate has done its work, if it had not yet."""
        if self.nameplate.state == "doubtful":
            self.nameplate.change().keep()
        if self.nameplate.state != "claimed":
            return False
        self.nameplate.change().release()
        return True

    # When the server may have forgotten us.

    def absent(self, *, well: bool) -> bool:
        """We had no contact for long; return whether that leaves anything in doubt.

        An entered code leads to the peer that gave it out, so its nameplate is claimed anyway,
        unless it would only be given back.
        """
        if self.nameplate.state != "claiming" or (well and not self.code.data.allocated):
            return False
        self.nameplate.change().doubt()
        return True

    def missing(self, *, stored: bool) -> bool:
        """The mailbox is empty; return whether that leaves anything in doubt.

        Args:
            stored: whether something of ours was there. If so, the server has forgotten that
                mailbox; our own `open` made the one that is there now, and we leave it.
        """
        if self.nameplate.state != "claimed" or self.mailbox.state != "open":
            return False
        self.nameplate.change().doubt()
        if stored:
            self.mailbox.change().close("lonely")
        return True

    def kept(self, *, taken: bool, lately: bool) -> bool:
        """Whether the nameplate, about which we have just asked, is certainly still ours."""
        return taken and lately and self.mailbox.state == "open"

    def freed(self) -> None:
        """The server has forgotten our nameplate, and it is free: it will be claimed again."""
        self.nameplate.change().free()
        if self.mailbox.state == "open":
            self.mailbox.change().forget()
        elif self.mailbox.state == "closing":
            self.mailbox.change().closed()

    def may_be_ours(self, *, taken: bool, stored: bool) -> bool:
        """Whether the nameplate has to be given back to find out whose it is.

        Not if we did that already. Not if something of ours was `stored` either: then the server
        has certainly forgotten the mailbox, and it forgets a nameplate together with its mailbox.
        """
        return taken and not stored and self.nameplate.state == "doubtful"

    def yield_(self) -> None:
        """Give the nameplate back, if it is still ours, and the mailbox, which is empty."""
        self.nameplate.change().yield_()
        if self.mailbox.state == "open":
            self.mailbox.change().close("lonely")

    @property
    def is_replaceable(self) -> bool:
        """Whether the code was never told, so that another one will do."""
        data = self.code.data
        ours = data.untold and data.allocated and not data.shared
        return ours and self.nameplate.state == "lost"

    def replace(self, draw: str) -> None:
        """Want another code."""
        self.nameplate.change().drop()
        self.code.change().again(draw)

    def lost(self) -> None:
        """Another client has the nameplate now, or perhaps we still have it."""
        if self.mailbox.state == "open":
            # Nothing of ours was ever seen there, so the server may have forgotten nothing. If so,
            # this mailbox cannot be closed before the nameplate is released; and a release without
            # a claim changes nothing.
            self.nameplate.change().keep()
        else:
            self.nameplate.change().lose()

    # The end.

    def leave(self, mood: str, *, insist: bool) -> None:
        """Give back everything that is known to be ours.

        Args:
            mood: what to tell the server.
            insist: whether to learn of a nameplate or mailbox that we may have been given.
        """
        if self.code.is_in("unset", "wanted", "typing", "typing_words") or (
            self.code.state == "asked" and not insist
        ):
            self.code.change().abandon()
        if self.nameplate.state == "claiming" and insist:
            return  # the answer tells which mailbox to close
        if self.nameplate.state == "doubtful" and self.mailbox.state == "open":
            if insist:
                return  # the answer tells whether there is a nameplate to release
            self.nameplate.change().keep()  # most likely
        if self.code.state == "asked":
            return  # the answer tells which nameplate to release
        self.give_back(mood)

    def give_back(self, mood: str) -> None:
        """Release the nameplate and close the mailbox."""
        self.nameplate.change().release()
        self.mailbox.change().close(mood)
