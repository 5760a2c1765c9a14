"""Receive a text from a peer, and write it down before the sender is told that it arrived."""

from __future__ import annotations

from attrs import field

from holdfast.flows.base import Flow, flow
from holdfast.transfer import messages, text


class Receive(Flow):
    """Enter the code, take the text, put it where it belongs, and only then accept it."""

    code: str
    writing: bool

    def started(self) -> None:
        """Enter the code, to meet the sender."""
        self.wormhole.set_code(self.code)

    def put(self, received: str) -> None:
        """Ask for the task that puts the text where it belongs."""
        raise NotImplementedError

    def accept(self) -> None:
        """The text is where it belongs: tell the sender."""
        self.wormhole.send_message(messages.accept_text())
        self.finish()

    def wormhole_got_message(self, message: bytes) -> None:
        """The sender offers something, or gives up."""
        try:
            heard = messages.read(message)
        except ValueError as error:
            self.refuse(str(error))
            return
        for said in heard:
            if isinstance(said, messages.TextOffer) and not self.writing:
                self.writing = True
                self.put(said.text)
            elif isinstance(said, messages.Offer | messages.OtherOffer):
                self.refuse("this client receives texts only, no files")
            elif isinstance(said, messages.PeerSaysNo):
                self.fail(f"the sender's client said: {said.error}")

    def refuse(self, why: str) -> None:
        """Tell the sender why the text was not accepted."""
        self.wormhole.send_message(messages.refuse(why))
        self.fail(why)


@flow("receive", appid=text.APPID)
class ReceiveToFile(Receive):
    """Receive into a file, which any worker on this machine can write."""

    code: str = field(repr=False)
    out: str
    writing: bool = field(default=False, init=False)

    def put(self, received: str) -> None:
        """Write the file, whole or not at all."""
        self.perform("write-file", path=self.out, text=received)

    # Task names may hold hyphens; methods may not.
    def write_file_done(self, result: None) -> None:
        """The file is there."""
        self.accept()

    def write_file_failed(self, reason: str) -> None:
        """The sender is told, and may send again elsewhere."""
        self.refuse(f"the file could not be written: {reason}")


@flow("receive-here", appid=text.APPID)
class ReceiveHere(Receive):
    """Receive onto the terminal of the receiving command, which other workers do not have."""

    code: str = field(repr=False)
    writing: bool = field(default=False, init=False)

    def put(self, received: str) -> None:
        """Print it."""
        self.perform("print", text=received)

    def print_done(self, result: None) -> None:
        """The text is printed."""
        self.accept()

    def print_failed(self, reason: str) -> None:
        """The sender is told."""
        self.refuse(f"the text could not be printed: {reason}")
