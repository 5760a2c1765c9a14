"""Send a file or a folder, to any client, and go on after a crash as far as the client can.

A transfer has a point of no return. Until `go` is written, everything can be repeated: the port,
the relay's side and both messages are durable before they leave, so a stock client that waits finds
us again. After it, a stock client takes no other connection, and the flow says so and ends. Between
two Holdfasts there is no such point.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from attrs import field
from cattrs import structure

from holdfast.flows.activities import Wanted
from holdfast.flows.base import flow
from holdfast.flows.shipped.coding import Coded, Coding
from holdfast.flows.shipped.pace import Speed
from holdfast.flows.shipped.transferring import (
    TRANSIT_PURPOSE,
    Reachable,
    Sending,
    Stage,
    Ways,
)
from holdfast.transfer import APPID, messages
from holdfast.transfer.messages import VERSIONS
from holdfast.transfer.sources import Source

NO_TEXT = "the recipient's client took it for a text"
NO_ANSWER = "the recipient's client answered something that is not known here"
TOO_EARLY = "the recipient's client accepted it before it was offered"


@flow("send-file", appid=APPID)
class SendFile(Coded):
    """One file, or one folder, for one recipient.

    Args:
        paths: what to send; several files and folders are sent as one folder.
        name: what the recipient is told it is called; by default its own name.
        ways: how this machine may be reached.
        coding: what code it gets.
    """

    versions = VERSIONS

    paths: list[str]
    name: str | None = None
    ways: Ways = field(factory=Ways)
    coding: Coding = field(factory=Coding)
    stage: str = field(default="measuring", init=False)
    """measuring, reachable, offered, accepted, going."""
    source: Source | None = field(default=None, init=False, repr=False)
    moved: int = field(default=0, init=False)
    contact: Reachable = field(factory=Reachable, init=False)
    speed: Speed = field(factory=Speed, init=False)

    def started(self) -> None:
        """Ask for a code, and meanwhile look at what will be sent."""
        self.open_code()
        self.perform("measure", paths=self.paths, name=self.name)

    def activity(self) -> Wanted | None:
        """While the peer is there, be reachable; then connect; then carry."""
        if self.stage == "measuring" or self.source is None:
            return None
        stage: Stage = "reachable"
        if self.stage in ("accepted", "going"):
            stage = cast(Stage, self.stage)
        reach = self.contact.reach(self.wormhole.derive_key(TRANSIT_PURPOSE, 32), self.ways)
        paths = tuple(Path(path) for path in self.paths)
        return Wanted("sending", Sending(stage, reach, paths, self.source, self.moved))

    # The two things that must be known before anything is offered.

    def wormhole_got_versions(self, versions: dict[str, object]) -> None:
        """The recipient is there and has proved the code."""
        self.contact.resumes = messages.resumes(versions)
        self.offer_if_ready()

    def measure_done(self, source: dict[str, Any]) -> None:
        """It was read once, from its first byte to its last."""
        self.source = structure(source, Source)
        self.publish(file=self.source.name, size=self.source.size, sha256=self.source.sha256)
        self.offer_if_ready()

    def measure_failed(self, reason: str) -> None:
        """It cannot be sent."""
        self._give_up(reason, "the sender cannot read what it wanted to send")

    def offer_if_ready(self) -> None:
        """Go on once both are known."""
        known = self.source is not None and self.contact.resumes is not None
        if known and self.stage == "measuring" and self.may_go_on:
            self.stage = "reachable"

    @property
    def may_go_on(self) -> bool:
        """Whether it may be offered to whoever has proved the code."""
        return True

    # What the activity reports.

    def sending_listening(self, where: dict[str, Any]) -> None:
        """We are reachable. Only now that the port is durable does the peer hear of it."""
        said = self.contact.listens(where)
        if said is not None:
            self.wormhole.send_message(said)
        if self.stage == "reachable" and self.source is not None:
            self.stage = "offered"
            source = self.source
            # The clients that we know pass over a digest; others need not.
            digest = source.sha256 if self.contact.resumes else ""
            offered = messages.Offer(
                source.kind, source.name, source.size, source.files, source.total, digest
            )
            self.wormhole.send_message(messages.offer(offered))

    def sending_chosen(self, route: str) -> None:
        """A connection is there. Once this is durable, `go` is written."""
        self.stage = "going"
        self.speed.begin(self.now(), self.moved)
        self.publish(route=route, waiting=None)

    def sending_moved(self, moved: int) -> None:
        """So many bytes have left."""
        self.moved = moved
        size = moved if self.source is None else self.source.size
        figures = self.speed.figures(self.now(), moved, size)
        self.publish(moved=moved, waiting=None, **figures)

    def sending_queued(self, reason: str) -> None:
        """There is a connection, but too many others are sent just now."""
        self.sending_waiting(reason)

    def sending_waiting(self, reason: str) -> None:
        """The connection to another Holdfast broke, or cannot be had; it will be tried again."""
        self.speed.pause()
        self.publish(waiting=reason, left=None)

    def sending_acknowledged(self, sha256: str) -> None:
        """The receiver says that it has everything."""
        if self.source is not None and sha256.lower() == self.source.sha256:
            self.publish(moved=self.source.size, collected=self.now())
            self.finish()
        else:
            self.fail("the recipient's client received something else than what was sent")

    def sending_broken(self, reason: str) -> None:
        """It cannot go on, and the recipient does not have it."""
        self._give_up(reason, reason)

    def sending_unconfirmed(self, reason: str) -> None:
        """It cannot go on, and the recipient may have it."""
        self.wormhole.send_message(messages.refuse(reason))
        self.fail(reason)

    # What the peer says.

    def wormhole_got_message(self, message: bytes) -> None:
        """The recipient's client says where it is, accepts or refuses."""
        try:
            heard = messages.read(message)
        except ValueError as error:
            self._give_up(str(error), str(error))
            return
        for said in heard:
            if isinstance(said, messages.Transit):
                self.contact.hear(said)
            elif isinstance(said, messages.OfferAccepted):
                self._accepted()
            elif isinstance(said, messages.TextAccepted):
                self._give_up(NO_TEXT, NO_TEXT)
            elif isinstance(said, messages.OtherAnswer):
                self._give_up(NO_ANSWER, NO_ANSWER)
            elif isinstance(said, messages.Received) and self.contact.resumes:
                self.sending_acknowledged(said.sha256)
            elif isinstance(said, messages.PeerSaysNo):
                self.publish(sent=None)
                self.fail(f"the recipient's client said: {said.error}")

    def giving_up(self) -> None:
        """A recipient who is asked, or waits for the rest, should know."""
        if self.contact.resumes is not None:
            self.wormhole.send_message(messages.refuse("the sender has cancelled it"))

    def _accepted(self) -> None:
        if self.stage == "offered":
            self.stage = "accepted"
            self.publish(sent=self.now())
        elif self.stage in ("measuring", "reachable"):
            self._give_up(TOO_EARLY, TOO_EARLY)

    def _give_up(self, why: str, tell: str) -> None:
        if self.contact.resumes is not None:
            self.wormhole.send_message(messages.refuse(tell))
        self.publish(sent=None)  # so that it may be sent again, whatever was accepted
        self.fail(why)
