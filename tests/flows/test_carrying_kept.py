"""What an activity does with a connection that an earlier life has left with a keeper."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator

import pytest
from attrs import define, field
from twisted.internet.defer import DeferredSemaphore

from holdfast.flows.shipped.keeping import ROUTE
from holdfast.flows.shipped.sharing import HERE
from holdfast.flows.shipped.transferring import Stage
from holdfast.transit.keeping import Kept, flow_of, tag_of
from holdfast.transit.kept_wire import KeptWire
from holdfast.transit.keys import Role
from holdfast.transit.positions import Position
from tests.flows.test_carrying import KEYS, ROLES, Scene

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has what it needs")

KEPT = Kept(flow_of("0" * 32), tag_of(KEYS.key), Position(3, 4))


@define
class Keeper:
    """One that has a connection."""

    ours: socket.socket
    theirs: socket.socket
    tag: str = KEPT.tag
    calls: list[str] = field(factory=list)

    def keep(self, name: str, descriptor: int) -> bool:
        raise NotImplementedError

    def take(self, flow: str, tag: str) -> tuple[str, int] | None:
        self.calls.append("take")
        there = (flow, tag) == (KEPT.flow, self.tag)
        return (KEPT.name, os.dup(self.ours.fileno())) if there else None

    def release(self, name: str) -> None:
        assert name == KEPT.name
        self.calls.append("release")

    def drop(self, flow: str) -> None:
        assert flow == KEPT.flow
        self.calls.append("drop")

    @property
    def has_ended(self) -> bool:
        """Whether the other side sees the end of the connection."""
        self.theirs.settimeout(0)
        try:
            return self.theirs.recv(1) == b""
        except BlockingIOError:
            return False


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    with ours, theirs:
        yield Keeper(ours, theirs)


def scene(role: Role, keeper: Keeper, stage: Stage, *, resumes: bool = False) -> Scene:
    """An activity that begins at this stage, and whose threads have looked for a connection."""
    made = Scene(role, resumes=resumes)
    made.session.keeper = keeper
    made.want(stage)
    made.session.run()
    made.world.settle()
    return made


def threads(scene: Scene) -> None:
    """Let all threads that wait do their work."""
    while scene.session.threads:
        scene.session.run()
    scene.world.settle()


@ROLES
@pytest.mark.parametrize("stage", ["accepted", "going", "landed"])
def test_found(role: Role, stage: Stage, keeper: Keeper) -> None:
    """It goes on there; if nobody had written down that it was chosen, that comes first."""
    it = scene(role, keeper, stage)
    assert it.session.reports == ([("chosen", ROUTE)] if stage == "accepted" else [])
    assert isinstance(it.it.wire, KeptWire)
    assert len(it.session.threads) == 1
    assert it.world.listening == {}
    it.it.wire.close()


@ROLES
@pytest.mark.parametrize("over", [False, True], ids=["stopped", "over"])
def test_let_go(role: Role, over: bool, keeper: Keeper) -> None:
    """Who stops leaves it for the next life; what is over is closed."""
    it = scene(role, keeper, "going")
    if over:
        it.it.clear(it.wanted, failed=False)
    else:
        it.it.stop()
    it.session.end("all of it")
    threads(it)
    assert keeper.calls[:2] == ["take", "drop" if over else "release"]
    assert keeper.has_ended == over


@pytest.mark.parametrize("over", [False, True], ids=["stopped", "over"])
def test_let_go_while_it_waits_for_its_turn(
    over: bool, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Likewise, though no thread has the connection."""
    monkeypatch.setattr(HERE, "places", DeferredSemaphore(1))
    HERE.places.acquire()
    it = scene("sender", keeper, "going")
    assert it.session.names() == ["queued"]
    if over:
        it.it.clear(it.wanted, failed=False)
    else:
        it.it.stop()
    threads(it)
    assert keeper.calls[:2] == ["take", "drop" if over else "release"]
    assert keeper.has_ended == over


def test_stopped_meanwhile(keeper: Keeper) -> None:
    """What is found too late is left as it is."""
    it = Scene("sender")
    it.session.keeper = keeper
    it.want("going")
    it.it.stop()
    threads(it)
    assert keeper.calls[-2:] == ["take", "release"]
    assert not keeper.has_ended


def test_ended_before_it_was_chosen(keeper: Keeper) -> None:
    """The other side may wait for another one."""
    keeper.theirs.shutdown(socket.SHUT_WR)
    it = scene("sender", keeper, "accepted")
    threads(it)
    assert keeper.calls == ["take", "drop"]
    assert it.session.names() == ["listening"]


def test_of_an_earlier_attempt(keeper: Keeper) -> None:
    """It has other keys. It is closed, and everything is as without it."""
    keeper.tag = tag_of(b"1" * 32)
    it = scene("sender", keeper, "going")
    threads(it)
    assert keeper.calls[:2] == ["take", "drop"]
    assert it.session.reports == [("broken", "going: the process was stopped")]


@pytest.mark.parametrize(("stage", "resumes"), [("reachable", False), ("going", True)])
def test_not_wanted(stage: Stage, resumes: bool, keeper: Keeper) -> None:
    """Before the answer there is none of this attempt, and another Holdfast connects again."""
    it = scene("sender", keeper, stage, resumes=resumes)
    assert keeper.calls == ["drop"]
    assert it.session.names() == ["listening"]


def test_through_tor(keeper: Keeper) -> None:
    """What goes through Tor is not kept."""
    it = Scene("sender")
    it.session.keeper, it.session.tor = keeper, object()
    it.want("going")
    threads(it)
    assert keeper.calls == []
    assert it.session.reports == [("broken", "going: the process was stopped")]
