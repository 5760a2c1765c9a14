"""What must hold of transfers, looked at from outside: from what is committed, and what leaves.

- Nobody is told of a port that is not durable.
- Neither `go` nor a receiver's line leaves before it is durable that a connection was chosen: a
  stock client takes no other one after it.
- No two records are sealed under the same key and nonce, in any life of any process.
- Who is told that a file has arrived finds it in its place, and that is durable.
- What is under a file's name is whole and right, whenever it is there (`tests.simulation.disk`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import define, field

from holdfast.crypto import derive
from holdfast.crypto.in_place import AesPlace, Boxes, Place
from holdfast.flows.shipped.receive import ReceiveToFile
from holdfast.flows.shipped.send_file import SendFile
from holdfast.flows.shipped.transferring import TRANSIT_PURPOSE
from holdfast.transit import bulk
from holdfast.transit.handshake import GO
from holdfast.transit.keys import TransitKeys
from tests.simulation.disk import SIZE
from tests.simulation.lines import End, LinesWatcher
from tests.simulation.process import Life

if TYPE_CHECKING:
    from tests.simulation.invariants import Flow
    from tests.simulation.peers import Person
    from tests.simulation.world import World

KINDS = (SendFile.kind, ReceiveToFile.kind)

CHOSEN = ("going", "landed", "over")
"""Stages in which a connection was chosen."""


@define(eq=False, repr=False)
class Transfer:
    """What is committed of a flow's transfer, in its present attempt."""

    flow: Flow
    stage: str = ""
    said: Any = None
    """Where we are, as the other side may have heard."""
    port: int = 0
    resumes: bool | None = None
    moved: int = 0
    """Bytes that have left, of a sender's."""
    reason: str = ""
    """Why it failed."""
    was_chosen: bool = False
    spoke: bool = False
    """Whether what follows the choice was written at least once."""
    died_chosen: bool = False
    """Whether a process died when a connection was chosen."""
    sent: int = 0
    all_sent_at: float | None = None
    """When a thread had written everything."""
    knew: bool = False
    """Whether a process died some time after that."""


@define(eq=False, repr=False)
class Transfers(LinesWatcher):
    """Who watches the transfers of a world."""

    world: World
    by_flow: dict[str, Transfer] = field(factory=dict)
    _by_line: dict[bytes, Transfer] = field(factory=dict)
    _sealed: set[tuple[bytes, bytes]] = field(factory=set, repr=False)

    def moved(self, flow: Flow, document: Any) -> None:
        """Something of a flow was committed."""
        if flow.kind not in KINDS:
            return
        transfer = self.by_flow.setdefault(flow.name, Transfer(flow))
        data = document["data"]
        incoming = data.get("incoming") or {}
        transfer.stage = data["stage"] if flow.kind == SendFile.kind else incoming.get("stage", "")
        contact = data["contact"]
        transfer.said, transfer.port = contact["said"], contact["port"]
        transfer.resumes = contact["resumes"]
        transfer.moved, transfer.reason = data.get("moved", 0), document["reason"]
        transfer.was_chosen = transfer.was_chosen or transfer.stage in CHOSEN
        key = document["wormhole"]["exchange"]["key"]["data"]["key"]
        if key:
            keys = TransitKeys(derive(bytes.fromhex(key), TRANSIT_PURPOSE, 32))
            ours = keys.sender_line if flow.kind == SendFile.kind else keys.receiver_line
            self._by_line[ours] = transfer

    def dies(self) -> None:
        """A process of ours is dead."""
        for transfer in self.by_flow.values():
            if transfer.flow.finished:
                continue
            transfer.died_chosen = transfer.died_chosen or transfer.was_chosen
            at = transfer.all_sent_at
            transfer.knew = transfer.knew or (at is not None and self.world.kernel.now > at + 0.1)

    # The lines.

    def writes(self, end: End, data: bytes) -> None:
        if not isinstance(end.process, Life):
            return
        transfer = end.note
        if not end.taken:
            self._check_choice(end, data)
        elif transfer is not None:
            transfer.sent += len(data)
            if transfer.sent >= SIZE and transfer.all_sent_at is None:
                transfer.all_sent_at = self.world.kernel.now
        self.world.faults.writes(end)

    def _check_choice(self, end: End, data: bytes) -> None:
        if data in self._by_line:
            end.note = self._by_line[data]
            chooses = end.note.flow.kind == ReceiveToFile.kind
        else:
            chooses = data == GO
        if not chooses:
            return
        self.world.say(end.process.name, "chooses a connection")
        transfer = end.note
        if transfer is None:
            self.world.violate("somebody chooses a connection who has no flow")
        elif not transfer.was_chosen:
            self.world.violate(f"{transfer.flow.name} chooses a connection, which is not durable")
        else:
            transfer.spoke = True

    def passed(self) -> None:
        self.world.disk.look()

    def survivors(self, under_way: int) -> int:
        return self.world.network.survivors(under_way)

    # What others are told.

    def told_where(self, person: Person, hints: Any) -> None:
        """Somebody who is not a Holdfast hears where we are."""
        name, transfer = person.flow, self.by_flow[person.flow]
        if person.attempt != transfer.flow.attempt:
            return
        if transfer.said != hints or not transfer.port:
            self.world.violate(f"{name} has said where it is, and that is not durable")
        for hint in hints:
            if hint.get("port") != transfer.port:
                self.world.violate(f"{name} has said that it listens where it may not, later")

    def acknowledged(self, person: Person) -> None:
        """A sender hears that everything has arrived."""
        name, transfer = person.flow, self.by_flow[person.flow]
        if person.attempt == transfer.flow.attempt and transfer.stage not in ("landed", "over"):
            self.world.violate(f"{name} has acknowledged what may be forgotten")
        self.is_there(name)

    def is_there(self, receiver: str) -> None:
        """A sender is sure that a flow has received its file."""
        if not self.world.disk.has_arrived(receiver):
            self.world.violate(f"{receiver} has acknowledged a file that is not there")

    # The records.

    @contextmanager
    def watched(self) -> Iterator[None]:
        """See every record that is sealed."""
        real = bulk.Place, bulk.AesPlace
        for name, boxes in (("Place", Place), ("AesPlace", AesPlace)):
            setattr(bulk, name, partial(self._boxes, boxes))
        try:
            yield
        finally:
            bulk.Place, bulk.AesPlace = real  # type: ignore[misc]

    def _boxes(
        self, boxes: Callable[[bytes, bytearray], Boxes], key: bytes, buffer: bytearray
    ) -> Boxes:
        return _Watched(boxes(key, buffer), key, self)

    def sealed(self, key: bytes, nonce: bytes) -> None:
        if (key, nonce) in self._sealed:
            self.world.violate("two records are sealed under one key and nonce")
        self._sealed.add((key, nonce))


class _Watched:
    """Boxes of which those that are sealed are seen."""

    def __init__(self, boxes: Boxes, key: bytes, watcher: Transfers) -> None:
        self.before = boxes.before
        self.open = boxes.open
        self._boxes = boxes
        self._key = key
        self._watcher = watcher

    def seal(self, nonce: bytes, at: int, length: int) -> None:
        self._watcher.sealed(self._key, nonce)
        self._boxes.seal(nonce, at, length)
