"""A flow whose code fails is loaded again, and set aside at last; nobody else is harmed."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.python.failure import Failure

from holdfast import Flow, flow
from holdfast_journal import CommitFailed, JournalStopped, SqlJournal, TakenFlow
from tests.flows.world import BATCH, World

APPID = "example.com/failures"

TROUBLE: dict[str, Callable[[], object]] = {}
"""By the name of a method, what the flow below does in it."""


@pytest.fixture(autouse=True)
def trouble() -> Iterator[None]:
    TROUBLE.clear()
    yield
    TROUBLE.clear()


def fails() -> None:
    raise ZeroDivisionError("s3cr3t")


@flow("test-fragile", appid=APPID)
class Fragile(Flow):
    secret: str = "s3cr3t"
    step: int = 0

    def started(self) -> None:
        self.wormhole.allocate_code()
        self._trouble("started")

    def wormhole_got_code(self, code: str) -> None:
        self.publish(code=code)
        self._trouble("code")

    def wormhole_got_versions(self, versions: dict[str, object]) -> None:
        self.step += 1
        self.wormhole.send_message(b"step %d" % self.step)
        self._trouble("versions")

    def wormhole_got_message(self, message: bytes) -> None:
        self.wormhole.send_message(b"not to be sent")
        self.publish(got=message.decode())
        self._trouble("message")
        self.finish()

    def wormhole_closed(self, result: object) -> None:
        self._trouble("closed")

    def _trouble(self, name: str) -> None:
        TROUBLE.get(name, lambda: None)()


def begin(world: World) -> None:
    world.add(Fragile())
    world.add(Fragile(), "bob")
    world.serve()


def set_aside(world: World, where: str) -> None:
    """Check that the flow is set aside, with the place of the error and no more."""
    world.until(world.finished)
    assert world.status() == "failed"
    reason = world.published()["reason"]
    assert reason.startswith(f"ZeroDivisionError in {where}")
    assert "test_failures.py" in reason
    told = f"{world.row()} {reason} {world.heard()}"
    assert "s3cr3t" not in told


def test_at_the_start(world: World) -> None:
    """A flow that cannot begin is tried three times, then set aside; nothing was sent for it."""
    calls: list[float] = []

    def counted() -> None:
        calls.append(world.reactor.seconds())
        fails()

    TROUBLE["started"] = counted
    world.add(Fragile())
    world.serve()
    set_aside(world, "fails")
    assert len(calls) == 3
    assert calls[1] - calls[0] < calls[2] - calls[1]
    assert world.network.log == []


@pytest.mark.parametrize("where", ["code", "versions", "message"])
def test_in_a_callback(world: World, where: str) -> None:
    """What an event caused in a method that raised is neither saved nor sent; others go on."""
    begin(world)
    codes = {name: world.code(name) for name in ("ann", "bob")} if where != "code" else {}
    TROUBLE[where] = fails
    if where == "code":
        set_aside(world, "fails")
        assert "code" not in world.published()
        return
    ann = world.peer(codes["ann"])
    if where == "message":
        ann.wormhole.send_message(b"hello")
    set_aside(world, "fails")
    assert ann.messages == ([] if where == "versions" else [b"step 1"])
    assert "got" not in world.published()
    assert world.published()["code"] == codes["ann"]
    TROUBLE.clear()
    bob = world.peer(codes["bob"])
    bob.wormhole.send_message(b"hello")
    world.until(lambda: world.finished("bob"))
    assert world.status("bob") == "done"


def test_it_may_pass(world: World) -> None:
    """After a failure that does not come again the flow goes on as if nothing had been."""
    begin(world)
    peer = world.peer(world.code())
    TROUBLE["message"] = fails
    peer.send(b"hello")
    world.deliver_all()
    TROUBLE.clear()
    world.until(world.finished)
    assert world.status() == "done"
    assert peer.messages == [b"step 1", b"not to be sent"]


def test_in_the_last_callback(world: World) -> None:
    """A flow that fails while it is told of the end is set aside too."""
    begin(world)
    peer = world.peer(world.code())
    TROUBLE["closed"] = fails
    peer.send(b"hello")
    set_aside(world, "fails")


def test_retry_begins_anew(world: World) -> None:
    """A flow that was set aside can be tried again, with a new code and from the beginning."""
    begin(world)
    first = world.code()
    TROUBLE["versions"] = fails
    world.peer(first)
    set_aside(world, "fails")
    TROUBLE.clear()
    world.journal.retry("ann", BATCH)
    second = world.code()
    assert second != first
    peer = world.peer(second)
    peer.send(b"hello")
    world.until(world.finished)
    assert world.status() == "done"
    assert peer.messages[0] == b"step 1"


def test_its_checkpoint_is_kept(world: World) -> None:
    """What a flow that is set aside knew stays in the database, sealed."""
    begin(world)
    TROUBLE["versions"] = fails
    world.peer(world.code())
    set_aside(world, "fails")
    assert world.journal.events(world.row().id), "its events can still be opened"
    assert world.published()["code"]


def test_a_commit_that_is_refused(world: World) -> None:
    """When somebody else has the flow, the runner lets go, with nothing sent and no blame."""
    begin(world)
    peer = world.peer(world.code())
    [runner] = [each for each in world.engine.running.values() if each.taken.name == "ann"]
    # Another process takes the flow over: the epoch rises.
    world.journal.give_back([runner.taken.id])
    [elsewhere] = world.journal.take(names=["ann"])
    assert elsewhere.epoch > runner.taken.epoch
    sent = len([frame for side, frame in world.network.log if side != peer.wormhole.exchange.side])
    world.deliver_all()
    ours = [frame for side, frame in world.network.log if side != peer.wormhole.exchange.side]
    assert len(ours) == sent
    assert runner.taken.id not in world.engine.running
    world.advance(60)
    assert world.status() != "failed"
    assert not world.finished()


def test_refused_while_flows_are_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow that is lost during a look is not loaded by that look, and then given back."""
    begin(world)
    [runner] = [each for each in world.engine.running.values() if each.taken.name == "ann"]
    take = SqlJournal.take

    def refuse_and_take(journal: SqlJournal, **wanted: Any) -> list[TakenFlow]:
        monkeypatch.undo()
        runner.taken.journal.refused(CommitFailed("no such table"))
        return take(journal, **wanted)

    monkeypatch.setattr(SqlJournal, "take", refuse_and_take)
    world.until(lambda: world.row().failures)
    assert runner.taken.id not in world.engine.running
    world.until(lambda: runner.taken.id in world.engine.running)
    world.advance(30)
    assert runner.taken.id in world.engine.running
    assert world.row().failures == 1


def test_a_journal_that_has_stopped(world: World) -> None:
    """An event that comes when the disk has failed already is not held against its flow."""
    from twisted.logger import globalLogPublisher

    events: list[dict[str, object]] = []
    begin(world)
    [runner] = [each for each in world.engine.running.values() if each.taken.name == "ann"]
    globalLogPublisher.addObserver(events.append)
    try:
        world.engine.broken(runner, Failure(JournalStopped("the disk failed")))
        world.advance(5)
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert [each for each in events if "flow" in str(each.get("log_format"))] == []
    assert world.row().failures == 0


def test_what_is_published_must_be_plain(world: World) -> None:
    """A value that cannot be saved fails the event that brought it, as an exception does."""
    begin(world)
    TROUBLE["code"] = lambda: {}[object()]
    world.until(world.finished)
    assert world.published()["reason"].startswith("KeyError")


def test_the_log_tells_no_secret(world: World) -> None:
    """What the engine logs of a failure has its place and none of its words."""
    from twisted.logger import globalLogPublisher

    events: list[dict[str, object]] = []
    globalLogPublisher.addObserver(events.append)
    try:
        begin(world)
        TROUBLE["started"] = fails
        TROUBLE["code"] = fails
        world.advance(30)
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert events
    assert "s3cr3t" not in str([(each, each.get("log_failure")) for each in events])
