"""Flows whose two sides compare their verifier before anything is handed over: `--verify`.

The verifier follows from the key (client-protocol.md, "Verifier"). If somebody has guessed the code
and stands between the two sides, each of them has another one. So the two people compare what they
see, on a way on which they know each other.

The question is a task, so it is asked again after a crash, and its answer is durable. Only the
command whose user is asked has the task, so no other worker runs these flows.
"""

from __future__ import annotations

from attrs import field

from holdfast.flows.base import Flow, flow
from holdfast.flows.shipped.provision import SendText
from holdfast.flows.shipped.receive import ReceiveHere
from holdfast.flows.shipped.send_file import SendFile
from holdfast.transfer import APPID, messages, text

MOST_UNREAD = 100
"""Messages that a peer may send before the answer; a Holdfast says anew where it is each time that
it is started."""

DIFFER = "the verifiers were found to differ"


class Verified(Flow):
    """What is the same for both sides."""

    tasks_of_its_command = frozenset({"verify"})

    compared: str
    """asked, same; or over, if the flow has ended otherwise. At first ""."""

    def wormhole_got_verifier(self, verifier: bytes) -> None:
        """The other side has proved the code: ask whether it is who it should be."""
        self.compared = "asked"
        self.perform("verify", verifier=verifier.hex())

    def verify_done(self, same: bool) -> None:  # noqa: FBT001 - a result has one value
        """The person at this end has compared."""
        if self.compared == "asked" and same:
            self.compared = "same"
            self.go_on()
        elif self.compared == "asked":
            self._give_up_on_it(DIFFER)

    def verify_failed(self, reason: str) -> None:
        """Nobody can be asked here."""
        if self.compared == "asked":
            self._give_up_on_it("nobody could be asked to compare the verifiers")

    def _give_up_on_it(self, why: str) -> None:
        self.wormhole.send_message(messages.refuse(why))
        self.fail(why)

    @property
    def may_go_on(self) -> bool:
        """Whether something may be handed over."""
        return self.compared == "same"

    def go_on(self) -> None:
        """Do what had to wait for the answer."""
        raise NotImplementedError

    def fail(self, reason: str) -> None:
        """Say that the flow cannot do its work; an answer that comes later changes nothing."""
        self.compared = "over"
        super().fail(reason)

    def giving_up(self) -> None:
        """Likewise."""
        self.compared = "over"
        super().giving_up()


@flow("send-verified", appid=text.APPID)
class SendTextVerified(Verified, SendText):
    """A text for a person who is asked first."""

    compared: str = field(default="", init=False)

    def wormhole_got_versions(self, versions: dict[str, object]) -> None:
        """The recipient is there; who it is must still be seen."""

    def go_on(self) -> None:
        """Hand it over."""
        self.hand_over(self.secret)


@flow("send-file-verified", appid=APPID)
class SendFileVerified(Verified, SendFile):
    """A file or folder for a person who is asked first; until then we listen nowhere."""

    compared: str = field(default="", init=False)

    def go_on(self) -> None:
        """Offer it, once it is read."""
        self.offer_if_ready()


@flow("receive-verified", appid=APPID)
class ReceiveVerified(Verified, ReceiveHere):
    """What comes from a person who is asked first; until then it is not looked at."""

    tasks_of_its_command = ReceiveHere.tasks_of_its_command | Verified.tasks_of_its_command

    compared: str = field(default="", init=False)
    unread: list[str] = field(factory=list, init=False, repr=False)
    """The messages that have come, in hexadecimal digits."""

    def wormhole_got_message(self, message: bytes) -> None:
        """Keep what the sender says; but if it gives up, that is heard at once."""
        if self.may_go_on:
            super().wormhole_got_message(message)
        elif _says_no(message):
            super().wormhole_got_message(message)
            self.unread.clear()
        elif len(self.unread) < MOST_UNREAD:
            self.unread.append(message.hex())
        else:
            self.refuse("too much was sent before the verifiers were compared")

    def go_on(self) -> None:
        """Hear what has come meanwhile."""
        unread, self.unread = self.unread, []
        for message in unread:
            super().wormhole_got_message(bytes.fromhex(message))


def _says_no(message: bytes) -> bool:
    try:
        heard = messages.read(message)
    except ValueError:
        return False
    return any(isinstance(said, messages.PeerSaysNo) for said in heard)
