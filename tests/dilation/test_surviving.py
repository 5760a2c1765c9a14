"""A dilated wormhole is a value: whenever its process dies, another one goes on."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from holdfast_journal import Journal
from tests.api.world import CODE, Delegate
from tests.dilation.test_subchannels import Half
from tests.dilation.world import Made, Told, World
from tests.harness.reactor import flush_logged_errors

RECORDS = 12


def record(number: int) -> bytes:
    return b"%d:" % number + bytes(number * 1_000)


class Died(Exception):
    """The process is dead."""


@implementer(IHalfCloseableProtocol)
class Remembering(Protocol):
    """Sends some records and takes some, and saves how far it is."""

    def __init__(self, life: Life, address: Any) -> None:
        self.life = life
        saved = address.state or {"sent": 0, "taken": 0}
        self.sent, self.taken = saved["sent"], saved["taken"]
        assert self.taken == address.received
        assert address.resumed == (address.state is not None)

    def connectionMade(self) -> None:
        self.more()

    def more(self) -> None:
        """Send one record, and the next a moment later."""
        if self.life.dead:
            return
        if self.sent == RECORDS:
            self.transport.loseWriteConnection()
        else:
            self.transport.write(record(self.sent))
            self.sent += 1
            self.life.world.clock.callLater(0.02, self.more)

    def dataReceived(self, data: bytes) -> None:
        assert not self.life.dead
        assert data == record(self.taken)
        self.taken += 1

    def readConnectionLost(self) -> None:  # noqa: N802
        assert self.taken == RECORDS

    def writeConnectionLost(self) -> None:  # noqa: N802
        assert self.sent == RECORDS

    def save_state(self) -> dict[str, int]:
        return {"sent": self.sent, "taken": self.taken}

    def connectionLost(self, reason: Failure | None = None) -> None:
        assert not self.life.dead
        self.life.disk.ends.append((self.sent, self.taken))


class Planning(Remembering):
    """Commits plans of two records each, and makes them when they are sent."""

    def more(self) -> None:
        if self.life.dead:
            return
        if self.sent == RECORDS:
            self.transport.loseWriteConnection()
        else:
            self.transport.write_plan({"from": self.sent}, 2)
            self.sent += 2
            self.life.world.clock.callLater(0.02, self.more)

    def make_record(self, plan: Any, index: int) -> bytes:
        assert not self.life.dead
        return record(plan["from"] + index)


@define(eq=False)
class Disk:
    """What survives: the newest document, and how often it was written."""

    document: str | None = None
    opened: bool = False
    """Whether our own subchannel is in the document."""
    ended: bool = False
    commits: int = 0
    ends: list[tuple[int, int]] = field(factory=list)


@define(eq=False)
class Life:
    """One process that runs the wormhole.

    Args:
        dies: the number of the commit at which it dies, or None.
        saved: whether that commit is still written.
        kind: of our protocols.
    """

    world: World
    disk: Disk
    dies: int | None = None
    saved: bool = False
    kind: type[Remembering] = Remembering
    dead: bool = False
    opened: bool = False
    wormhole: Any = None
    closed: list[Any] = field(factory=list)

    def begin(self) -> Life:
        self.opened = self.disk.opened
        journal = Journal(self.save)
        if self.disk.document is None:
            self.wormhole = self.world.create(delegate=self, journal=journal)
            self.wormhole.dilate(ping_interval=1)
            self.wormhole.set_code(CODE)
        else:
            self.wormhole = self.world.resume(self.disk.document, self, journal)
        return self

    def save(self) -> None:
        if self.dead:
            raise Died
        if self.wormhole is None:
            return
        self.disk.commits += 1
        if self.disk.commits != self.dies or self.saved:
            self.disk.document = json.dumps(self.wormhole.serialize())
            self.disk.opened = self.opened
            self.disk.ended = self.wormhole.exchange.ended
        if self.disk.commits == self.dies:
            self.dead = True
            raise Died

    def wormhole_dilated(self, dilated: Any) -> None:
        factory = Made(lambda address: self.kind(self, address))
        dilated.listener_for("theirs").listen(factory)
        if self.disk.opened:
            dilated.connector_for("ours").resume(factory)
        else:
            dilated.connector_for("ours").connect(factory).addCallback(self.has_opened)

    def has_opened(self, _: object) -> None:
        self.opened = True

    def wormhole_closed(self, result: Any) -> None:
        self.closed.append(result)


@implementer(IHalfCloseableProtocol)
class Answering(Told):
    """The peer's end, which stays alive: it sends the same records."""

    def __init__(self, world: World, address: Any) -> None:
        super().__init__(address)
        self.world, self.sent = world, 0

    def connectionMade(self) -> None:
        self.more()

    def more(self) -> None:
        if self.sent == RECORDS:
            self.transport.loseWriteConnection()
        else:
            self.transport.write(record(self.sent))
            self.sent += 1
            self.world.clock.callLater(0.02, self.more)

    def readConnectionLost(self) -> None:  # noqa: N802
        pass

    def writeConnectionLost(self) -> None:  # noqa: N802
        pass


def play(dies: int, *, saved: bool, kind: type[Remembering]) -> tuple[Disk, list[Answering]]:
    """One exchange, in which the process dies at a commit; its end."""
    world, disk = World(), Disk()
    life = Life(world, disk, dies, saved, kind)
    peer = world.create()
    answering = Made(lambda address: Answering(world, address))
    dilated = peer.dilate(ping_interval=1)
    dilated.listener_for("ours").listen(answering)
    dilated.connector_for("theirs").connect(answering)
    peer.set_code(CODE)
    try:
        life.begin()
    except Died:
        life.wormhole = None
    for _ in range(400):
        world.run(0.05)
        if life.dead:
            flush_logged_errors(Died)
            life = Life(world, disk, kind=kind).begin()
        if (
            len(disk.ends) == 2
            and len(answering.made) == 2
            and all("ConnectionDone" in each.told for each in answering.made)
        ):
            break
    world.run(1)
    while True:
        with suppress(Died):
            life.wormhole.close()
        world.run(20)
        if not life.dead:
            break
        flush_logged_errors(Died)
        life = Life(world, disk, kind=kind).begin()
        if disk.ended:
            break
    assert disk.ended or life.closed == ["happy"]
    return disk, answering.made


@pytest.mark.parametrize("kind", [Remembering, Planning])
@pytest.mark.parametrize("saved", [False, True], ids=["before", "behind"])
def test_every_commit(saved: bool, kind: type[Remembering]) -> None:
    """Nothing is lost, doubled or reordered, and both protocols hear their end once."""
    commits, dies = 3, 3  # the first two are what the application does first
    while dies <= commits:
        disk, made = play(dies, saved=saved, kind=kind)
        assert disk.ends == [(RECORDS, RECORDS)] * 2, dies
        for each in made:
            expected = [record(number) for number in range(RECORDS)]
            assert each.told == [*expected, "ConnectionDone"], dies
        commits = disk.commits
        dies += 4
    assert commits > 20


def test_what_comes_for_half_a_subchannel_waits_until_it_is_resumed() -> None:
    """The direction that we had closed says nothing about the other one."""
    world, listening = World(), Made(Half)
    ours = world.create(delegate=Delegate(), journal=Journal(lambda: None))
    theirs = world.create()
    x, y = ours.dilate(), theirs.dilate()
    ours.set_code(CODE)
    theirs.set_code(CODE)
    world.result(y.listener_for("name").listen(listening))
    opening = x.connector_for("name").connect(Made(Half))
    world.run(5)
    world.result(opening).transport.loseWriteConnection()
    world.run(1)
    document = json.dumps(ours.serialize())
    ours.abandon()
    listening.made[0].transport.write(b"late")
    listening.made[0].transport.loseWriteConnection()
    resumed = world.resume(document, Delegate(), Journal(lambda: None))
    world.run(30)
    dilated = resumed._happening.dilation.dilated
    (protocol,) = dilated.connector_for("name").resume(Made(Half))
    world.run(1)
    assert protocol.told == ["made", b"late", "read", "ConnectionDone"]
