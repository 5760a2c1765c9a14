"""Hand a text, exactly once, to the peer that proves the code; it may be the stock client."""

from __future__ import annotations

from attrs import field

from holdfast.flows.base import flow
from holdfast.flows.shipped.coding import Coded, Coding
from holdfast.transfer import messages, text


class HandOver(Coded):
    """Get a code, wait for the recipient, hand over the text, and see that it is accepted."""

    offered: bool

    def started(self) -> None:
        """Ask for a code."""
        self.open_code()

    def hand_over(self, secret: str) -> None:
        """Send the text, which is not needed here any more."""
        self.offered = True
        self.publish(sent=self.now())
        self.wormhole.send_message(text.offer(secret))

    def wormhole_got_message(self, message: bytes) -> None:
        """The recipient's client accepts or refuses."""
        try:
            heard = messages.read(message)
        except ValueError as error:
            self.fail(str(error))
            return
        for said in heard:
            if isinstance(said, messages.TextAccepted) and self.offered:
                self.publish(collected=self.now())
                self.finish()
            elif isinstance(said, messages.PeerSaysNo):
                self.fail(f"the recipient's client said: {said.error}")


@flow("provision", appid=text.APPID)
class Provision(HandOver):
    """One person's credential.

    Args:
        name: whom it is for.
        secret: the text, unless it is to be minted.
        mint: the command and its arguments that print the text; run once the recipient is there
            and has proved the code.
        mint_timeout: seconds that the command may take.
        coding: what code it gets.
    """

    name: str
    secret: str = field(default="", repr=False)
    mint: list[str] = field(factory=list)
    mint_timeout: float = 60.0
    coding: Coding = field(factory=Coding)
    offered: bool = field(default=False, init=False)

    def wormhole_got_versions(self, versions: dict[str, object]) -> None:
        """The recipient is there and has proved the code."""
        self.make_and_hand_over()

    def make_and_hand_over(self) -> None:
        """Hand over what there is, or have it made first."""
        if self.mint:
            self.perform("mint", command=self.mint, name=self.name, timeout=self.mint_timeout)
        else:
            self.hand_over(self.secret)

    def mint_done(self, secret: str) -> None:
        """The credential exists now."""
        self.hand_over(secret)

    def mint_failed(self, reason: str) -> None:
        """There is no credential, after all tries."""
        self.wormhole.send_message(messages.refuse("the sender could not make the credential"))
        self.fail(f"mint: {reason}")


@flow("send", appid=text.APPID)
class SendText(HandOver):
    """A text that a user sends by hand."""

    secret: str = field(repr=False)
    coding: Coding = field(factory=Coding)
    offered: bool = field(default=False, init=False)

    def wormhole_got_versions(self, versions: dict[str, object]) -> None:
        """The recipient is there and has proved the code."""
        self.hand_over(self.secret)
