"""Receive from a peer: a text, a file or a folder.

Whatever it is, it is where it belongs before the sender is told that it arrived.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from attrs import define, field
from cattrs import unstructure

from holdfast.flows.activities import Wanted
from holdfast.flows.base import Flow, flow
from holdfast.flows.shipped.pace import Speed
from holdfast.flows.shipped.transferring import (
    TRANSIT_PURPOSE,
    Reachable,
    Receiving,
    Stage,
    Target,
    Ways,
)
from holdfast.transfer import APPID, messages
from holdfast.transfer.messages import VERSIONS


@define
class Incoming:
    """A file or folder that was offered, and what became of it.

    Args:
        offer: as the sender made it.
        stage: offered, asked, accepted, going, landed, over.
        target: where it belongs, once that was looked at.
        durable: how many bytes have come; from a Holdfast, so many are safe on the disk.
        path: where it is, once it is there.
        sha256: of what came, once it is there.
    """

    offer: messages.Offer
    stage: str = "offered"
    target: Target | None = None
    durable: int = 0
    path: str | None = None
    sha256: str = ""


REJECTED = "transfer rejected"
"""What the stock clients say, and expect, when a person does not want a file."""


class Receive(Flow):
    """Enter the code, take what is offered, put it where it belongs, and only then accept it.

    Until our handshake line is written, everything can be repeated. After it, a stock sender takes
    no other connection, and the flow says so and ends; another Holdfast goes on where the disk is.
    """

    versions = VERSIONS
    tasks_of_its_command = frozenset({"ask"})

    code: str
    ways: Ways
    accept: bool
    writing: bool
    incoming: Incoming | None
    contact: Reachable
    speed: Speed

    @property
    def place(self) -> tuple[str, str | None]:
        """The directory for a file or folder, and its name there, unless the sender names it."""
        raise NotImplementedError

    def started(self) -> None:
        """Enter the code, to meet the sender."""
        self.wormhole.set_code(self.code)

    def put(self, received: str) -> None:
        """Ask for the task that puts a text where it belongs."""
        raise NotImplementedError

    def activity(self) -> Wanted | None:
        """From the offer on, be reachable; then connect; then carry."""
        incoming = self.incoming
        if incoming is None or incoming.target is None or incoming.stage == "over":
            return None
        stage: Stage = "reachable"
        if incoming.stage in ("accepted", "going", "landed"):
            stage = cast(Stage, incoming.stage)
        reach = self.contact.reach(self.wormhole.derive_key(TRANSIT_PURPOSE, 32), self.ways)
        wanted = Receiving(
            stage, reach, incoming.offer, incoming.target, incoming.durable, incoming.sha256
        )
        return Wanted("receiving", wanted)

    # What the peer says.

    def wormhole_got_versions(self, versions: dict[str, object]) -> None:
        """The sender is there and has proved the code."""
        self.contact.resumes = messages.resumes(versions)

    def wormhole_got_message(self, message: bytes) -> None:
        """The sender offers something, says where it is, or gives up."""
        try:
            heard = messages.read(message)
        except ValueError as error:
            if not self._has_landed:
                self.refuse(str(error))
            return
        for said in heard:
            if isinstance(said, messages.Transit):
                self.contact.hear(said)
            elif isinstance(said, messages.PeerSaysNo):
                if not self._has_landed:
                    self.fail(f"the sender's client said: {said.error}")
            elif self.writing or self.incoming is not None:
                continue  # one thing is offered, and it was
            elif isinstance(said, messages.TextOffer):
                self.writing = True
                self.put(said.text)
            elif isinstance(said, messages.Offer):
                self._consider(said)
            elif isinstance(said, messages.OtherOffer):
                self.refuse("the recipient's client does not know what this is")

    @property
    def _has_landed(self) -> bool:
        """Whether everything is where it belongs; what is said now changes nothing of that."""
        return self.incoming is not None and self.incoming.stage in ("landed", "over")

    def refuse(self, why: str) -> None:
        """Tell the sender why it was not accepted."""
        self.wormhole.send_message(messages.refuse(why))
        self.fail(why)

    def giving_up(self) -> None:
        """A sender who waits for the answer, or for us to come back, should know."""
        if self.incoming is not None and self.incoming.stage not in ("landed", "over"):
            self.wormhole.send_message(messages.refuse("the recipient has cancelled it"))

    # A text.

    def accept_text(self) -> None:
        """The text is where it belongs: tell the sender."""
        self.wormhole.send_message(messages.accept_text())
        self.finish()

    # Task names may hold hyphens; methods may not.
    def write_file_done(self, result: None) -> None:
        """The file is there."""
        self.accept_text()

    def write_file_failed(self, reason: str) -> None:
        """The sender is told, and may send again elsewhere."""
        self.refuse(f"the file could not be written: {reason}")

    # A file or a folder: from the offer to the answer.

    def _consider(self, offered: messages.Offer) -> None:
        self.incoming = Incoming(offered)
        self.publish(size=offered.size, sha256=offered.sha256 or None)
        directory, name = self.place
        self.perform("look-at-target", offer=unstructure(offered), directory=directory, name=name)

    def look_at_target_done(self, found: dict[str, Any]) -> None:
        """It is known what it would be called here, and whether there is room for it."""
        if found["problem"]:
            self.refuse(f"the recipient cannot take it: {found['problem']}")
        elif self.incoming is not None:
            directory, _ = self.place
            self.incoming.target = Target(directory, found["name"], found["free"])
            self.publish(file=found["name"])

    def receiving_listening(self, where: dict[str, Any]) -> None:
        """We are reachable. Only now that the port is durable does the peer hear of it."""
        said = self.contact.listens(where)
        if said is not None:
            self.wormhole.send_message(said)
        incoming = self.incoming
        if incoming is None or incoming.target is None or incoming.stage != "offered":
            return
        incoming.stage = "asked"
        if self.accept:
            self._accept(incoming, incoming.target.free, overwrite=False)
        else:
            offer, target = unstructure(incoming.offer), unstructure(incoming.target)
            self.perform("ask", offer=offer, target=target)

    def ask_done(self, answer: dict[str, Any]) -> None:
        """The person at this end has decided: `accept`, and then `name` and `overwrite`."""
        incoming = self.incoming
        if incoming is None or incoming.stage != "asked":
            return
        if answer["accept"]:
            self._accept(incoming, answer["name"], overwrite=bool(answer["overwrite"]))
        else:
            self.wormhole.send_message(messages.refuse(REJECTED))
            self.fail("it was not accepted")

    def ask_failed(self, reason: str) -> None:
        """Nobody can be asked here."""
        self.refuse("nobody could be asked whether to accept it")

    def _accept(self, incoming: Incoming, name: str, *, overwrite: bool) -> None:
        directory, _ = self.place
        incoming.target = Target(directory, name, name, overwrite=overwrite)
        incoming.stage = "accepted"
        self.publish(file=name, accepted=self.now())
        self.wormhole.send_message(messages.accept_offer())

    # From the answer to the end.

    def receiving_chosen(self, route: str) -> None:
        """A connection is there. Once this is durable, our handshake line is written."""
        self._enter("going")
        if self.incoming is not None:
            self.speed.begin(self.now(), self.incoming.durable)
        self.publish(route=route, waiting=None)

    def receiving_moved(self, durable: int) -> None:
        """So many bytes have come; from a Holdfast, they are safe on the disk."""
        size = durable
        if self.incoming is not None:
            self.incoming.durable = durable
            size = self.incoming.offer.size
        figures = self.speed.figures(self.now(), durable, size)
        self.publish(moved=durable, waiting=None, **figures)

    def receiving_waiting(self, reason: str) -> None:
        """It cannot go on now, and will be tried again."""
        self.speed.pause()
        self.publish(waiting=reason, left=None)

    def receiving_landed(self, landed: dict[str, Any]) -> None:
        """Everything is where it belongs."""
        if self.incoming is None:
            return
        self.incoming.stage, self.incoming.path = "landed", landed["path"]
        self.incoming.sha256 = landed["sha256"]
        self.publish(moved=landed["size"], path=landed["path"], sha256=landed["sha256"])
        if self.contact.resumes:
            self.wormhole.send_message(messages.received(landed["sha256"]))

    def receiving_acknowledged(self, told: bool) -> None:  # noqa: FBT001 - a report has one value
        """The sender was told, or cannot be told any more; what was received is here."""
        confirmed = told or bool(self.contact.resumes)
        if self.incoming is not None and self.incoming.stage == "landed":
            self.incoming.stage = "over"
            self.publish(unconfirmed=None if confirmed else 1)
            self.arrived(confirmed=confirmed)

    def arrived(self, *, confirmed: bool) -> None:
        """A file or folder is where it belongs, and nothing is left of the transfer."""
        self.finish()

    def receiving_broken(self, reason: str) -> None:
        """It cannot go on."""
        self.refuse(reason)

    def _enter(self, stage: str) -> None:
        if self.incoming is not None:
            self.incoming.stage = stage


@flow("receive", appid=APPID)
class ReceiveToFile(Receive):
    """Receive into a file, which any worker on this machine can write.

    The command starts `ReceiveHere`, so that every offer is shown first. This kind is for programs,
    and for flows that an earlier release has started.

    Args:
        code: what the sender gave.
        out: the path of the file; or of the folder, if a folder comes.
        accept: whether a file or folder is accepted without asking anybody.
        ways: how this machine may be reached.
    """

    code: str = field(repr=False)
    out: str
    accept: bool = False
    ways: Ways = field(factory=Ways)
    writing: bool = field(default=False, init=False)
    incoming: Incoming | None = field(default=None, init=False)
    contact: Reachable = field(factory=Reachable, init=False)
    speed: Speed = field(factory=Speed, init=False)

    @property
    def place(self) -> tuple[str, str | None]:
        """As the person has said."""
        path = Path(self.out)
        return str(path.parent), path.name

    def put(self, received: str) -> None:
        """Write the file, whole or not at all."""
        self.perform("write-file", path=self.out, text=received)


@flow("receive-here", appid=APPID)
class ReceiveHere(Receive):
    """Receive with the receiving command, which other workers are not.

    A text is printed there, or written into a file. For a file or folder the person at the terminal
    is asked first, unless everything is accepted, and is told where it is.

    Args:
        code: what the sender gave.
        directory: where files and folders go.
        out: the path for whatever comes, instead of that.
        accept: whether a file or folder is accepted without asking.
        ways: how this machine may be reached.
    """

    tasks_of_its_command = frozenset({"ask", "print", "show-path"})

    code: str = field(repr=False)
    directory: str = "."
    out: str | None = None
    accept: bool = False
    ways: Ways = field(factory=Ways)
    writing: bool = field(default=False, init=False)
    incoming: Incoming | None = field(default=None, init=False)
    contact: Reachable = field(factory=Reachable, init=False)
    speed: Speed = field(factory=Speed, init=False)

    @property
    def place(self) -> tuple[str, str | None]:
        """As the person has said, or under the sender's name for it, made safe."""
        if self.out is not None:
            path = Path(self.out)
            return str(path.parent), path.name
        return self.directory, None

    def put(self, received: str) -> None:
        """Print it, or write the file, whole or not at all."""
        if self.out is not None:
            self.perform("write-file", path=self.out, text=received)
        else:
            self.perform("print", text=received)

    def print_done(self, result: None) -> None:
        """The text is printed."""
        self.accept_text()

    def print_failed(self, reason: str) -> None:
        """The sender is told."""
        self.refuse(f"the text could not be printed: {reason}")

    def arrived(self, *, confirmed: bool) -> None:
        """Say where it is."""
        path = None if self.incoming is None else self.incoming.path
        self.perform("show-path", path=path, confirmed=confirmed)

    def show_path_done(self, result: None) -> None:
        """It was said."""
        self.finish()

    def show_path_failed(self, reason: str) -> None:
        """It could not be said; it is there all the same."""
        self.finish()
