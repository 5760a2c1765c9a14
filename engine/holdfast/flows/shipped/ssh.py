"""Public SSH keys, from one person to another's `authorized_keys`: `holdfast ssh`.

The messages are those of `wormhole ssh invite` and `wormhole ssh accept`, found by running these
commands of magic-wormhole 0.24: the inviter makes the code; the other side offers the key as a text
(file-transfer-protocol.md, "Sender"), under another application id; the inviter answers that it has
the text. The stock inviter answers before it writes; here it is answered once the key is durable.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import field

from holdfast.flows.base import flow
from holdfast.flows.shipped.coding import Coded, Coding
from holdfast.flows.shipped.provision import HandOver
from holdfast.transfer import messages
from holdfast.transfer.public_keys import BadPublicKey, read_public_key

APPID: Final = "lothar.com/wormhole/ssh-add"
"""The application id of the stock commands."""

REJECTED: Final = "the inviter does not want this key"


@flow("ssh-invite", appid=APPID)
class SshInvite(Coded):
    """Take one public key, and add it to the `authorized_keys` of this machine.

    Args:
        yes: whether the key is added without asking anybody.
        coding: what code it gets.
    """

    # They ask at a terminal, and write on this machine.
    tasks_of_its_command = frozenset({"ask-key", "authorize-key"})

    yes: bool = False
    coding: Coding = field(factory=Coding)
    stage: str = field(default="", init=False)
    """At first empty; asked, adding, over."""
    line: str = field(default="", init=False)
    """The key that was offered."""

    def started(self) -> None:
        """Ask for a code."""
        self.open_code()

    def wormhole_got_message(self, message: bytes) -> None:
        """The other side offers a key, or gives up."""
        try:
            heard = messages.read(message)
        except ValueError as error:
            self._refuse(str(error))
            return
        for said in heard:
            if isinstance(said, messages.PeerSaysNo):
                self._give_up(f"the other side's client said: {said.error}")
            elif isinstance(said, messages.TextOffer):
                self._consider(said.text)
            elif isinstance(said, messages.Offer | messages.OtherOffer):
                self._refuse("a public SSH key is wanted here, and nothing else")

    def _consider(self, text: str) -> None:
        if self.stage:
            return  # one key is wanted, and it came
        try:
            key = read_public_key(text)
        except BadPublicKey as error:
            self._refuse(str(error))
            return
        self.line = key.line
        self.publish(key=key.fingerprint)
        if self.yes:
            self._add()
        else:
            self.stage = "asked"
            self.perform("ask-key", line=self.line)

    def ask_key_done(self, yes: bool) -> None:  # noqa: FBT001 - a result has one value
        """The person at this end has decided."""
        if self.stage == "asked" and yes:
            self._add()
        elif self.stage == "asked":
            self._refuse(REJECTED)

    def ask_key_failed(self, reason: str) -> None:
        """Nobody can be asked here."""
        self._refuse("nobody could be asked whether to accept the key")

    def _add(self) -> None:
        self.stage = "adding"
        self.perform("authorize-key", line=self.line)

    def authorize_key_done(self, result: Any) -> None:
        """The key is there: tell the other side."""
        if self.stage == "adding":
            self.stage = "over"
            self.wormhole.send_message(messages.accept_text())
            self.finish()

    def authorize_key_failed(self, reason: str) -> None:
        """It could not be written; the other side hears no path of this machine."""
        if self.stage == "adding":
            self.stage = "over"
            self.wormhole.send_message(messages.refuse("the inviter could not store the key"))
            self.fail(f"the key could not be added: {reason}")

    def giving_up(self) -> None:
        """Whoever waits for an answer should know; what is being added may be there already."""
        if self.stage == "asked":
            self.wormhole.send_message(messages.refuse("the inviter has cancelled it"))
        self.stage = "over"

    def _refuse(self, why: str) -> None:
        if self.stage not in ("adding", "over"):
            self.wormhole.send_message(messages.refuse(why))
            self._give_up(why)

    def _give_up(self, why: str) -> None:
        if self.stage not in ("adding", "over"):
            self.stage = "over"
            self.fail(why)


@flow("ssh-accept", appid=APPID)
class SshAccept(HandOver):
    """Send one public key to whoever has made the code.

    Args:
        line: the key.
        coding: with the inviter's code.
    """

    line: str
    coding: Coding
    offered: bool = field(default=False, init=False)

    def wormhole_got_code(self, code: str) -> None:
        """It is the inviter's, and not to be passed on."""

    def wormhole_got_versions(self, versions: dict[str, object]) -> None:
        """The inviter is there and has proved the code."""
        self.hand_over(self.line)
