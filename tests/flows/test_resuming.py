"""A flow that a user wrote goes on from its last entry, whatever happened to the process."""

from typing import Any

import pytest
from attrs import field

from holdfast import Flow, flow
from holdfast.flows import base
from holdfast.flows.document import new_flow
from holdfast.flows.engine.runner import FlowRunner
from holdfast.rendezvous.tor import TorManager
from holdfast.testing import URL, Peer
from holdfast_journal import CommitFailed, Shredded, TakenFlow
from tests.flows.issue_token import APPID, CALLS, TROUBLE, IssueToken
from tests.flows.world import BATCH, World

ENTRIES = 19
"""Entries of the exchange below, unless it is disturbed."""


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()
    TROUBLE.clear()


@pytest.fixture(scope="module")
def lasting() -> World:
    """One world for many exchanges, because a journal takes its time to be made."""
    world = World()
    yield world
    world.close()


def answer(peer: Peer, message: bytes) -> None:
    peer.send(b"thanks")
    peer.send(b"ok")


def exchange(world: World, name: str, dies_at: int = 0, *, lost: bool = False) -> dict[str, Any]:
    """Run a flow to its end, killed when it has *dies_at* entries; return what was seen.

    With *lost*, nothing that its last entry caused has left the process.
    """
    peers: list[Peer] = []
    lives = 1

    def dead() -> bool:
        return lives == 1 and 0 < dies_at <= world.row(name).seq

    def watch() -> bool:
        code = world.published(name).get("code")
        if code and not peers:
            peers.append(world.peer(code, on_message=answer))
        return world.finished(name)

    world.server.restart(forget=True)
    world.dies_when = dead
    world.loses_when = dead if lost else lambda: False
    world.add(IssueToken(user="ann", greeting="good day"), name)
    world.serve()
    world.until(watch)
    if dies_at:
        assert dead()
        world.crash()
        lives += 1
        world.serve()
        world.until(watch)
    [peer] = peers
    peer.close()
    world.until(lambda: peer.result)
    world.crash()
    return {
        "status": world.status(name),
        "peer": peer.got,
        "keys": len(set(CALLS)),
        "left on the server": peer.wormhole.exchange.nameplate.data.nameplate
        in world.server.tables().names(APPID),
    }


EXPECTED = {
    "status": "done",
    "peer": [
        ("versions", {}),
        ("message", b"good day token of ann"),
        ("message", b"you said thanks ok"),
        ("closed", "happy"),
    ],
    "keys": 1,
    "left on the server": False,
}


def test_the_exchange_undisturbed(lasting: World) -> None:
    """The flow of the design works, and the tests below kill it after each of its entries."""
    assert exchange(lasting, "undisturbed") == EXPECTED
    assert lasting.row("undisturbed").seq == ENTRIES
    assert lasting.server.tables().empty


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("dies_at", range(1, ENTRIES + 1))
def test_killed_after_every_entry(lasting: World, dies_at: int, lost: bool) -> None:
    """Killed after an entry, before or after its frames have left, a flow ends the same."""
    assert exchange(lasting, f"{dies_at} {lost}", dies_at, lost=lost) == EXPECTED


def test_what_is_saved(world: World) -> None:
    """Parameters, own data and what was published are there again after a restart."""
    world.add(IssueToken(user="ann", greeting="salut"))
    world.serve()
    code = world.code()
    peer = world.peer(code)
    world.until(lambda: peer.messages)
    peer.send(b"one")
    world.deliver_all()
    world.crash()
    world.serve()
    peer.send(b"two")
    world.deliver_all()
    world.crash()
    world.serve()
    assert world.published() == {"code": code}
    peer.send(b"ok")
    world.until(world.finished)
    assert peer.messages == [b"salut token of ann", b"you said one two ok"]


def test_many_flows_with_the_server_gone(world: World) -> None:
    """Flows are started with no server to reach, and all of them end well once there is one."""
    world.server.stop()
    names = [f"person {number}" for number in range(20)]
    for name in names:
        world.add(IssueToken(user=name), name)
    world.serve()
    world.advance(5)
    assert {row.status for row in world.rows()} == {"starting"}
    world.crash()
    world.serve()
    world.server.start()
    peers = [world.peer(world.code(name), on_message=answer) for name in names]
    world.until(lambda: all(peer.messages for peer in peers))
    world.server.stop()
    world.advance(5)
    world.server.start()
    world.until(lambda: all(world.finished(name) for name in names))
    assert {row.status for row in world.rows()} == {"done"}
    assert [peer.messages[0].decode() for peer in peers] == [f"hello token of {n}" for n in names]


def test_more_flows_than_one_look_takes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that there are are taken, a part at a time, and no time passes in between."""
    monkeypatch.setattr("holdfast.flows.engine.engine.TAKE_AT_ONCE", 2)
    for number in range(5):
        world.add(IssueToken(user="ann"), f"ann {number}")
    began = world.now()
    world.serve()
    assert world.engine is not None
    for _ in range(3):
        world.reactor.advance(0)
    assert len(world.engine.running) == 5
    assert world.now() == began
    assert world.reactor.calls, "and it goes on looking, later"


def test_unknown_kinds_are_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow whose class is not registered here waits for a process that knows it."""
    world.add(IssueToken(user="ann"))
    with monkeypatch.context() as patch:
        patch.delitem(base._kinds, "test-issue-token")
        world.serve()
        world.advance(5)
        assert world.status() == "new"
        assert world.row().owner is None
        world.crash()
    world.serve(serve=["something-else"])
    world.advance(5)
    assert world.status() == "new"
    world.crash()
    world.serve()
    assert world.code()


@flow("test-issue-token-2", appid=APPID)
class Renewed(Flow):
    """The same flow in a later release: a field is gone, and two are new."""

    user: str
    tone: str = "warm"
    heard: list[str] = field(factory=list, init=False)
    count: int = field(default=7, init=False)

    def started(self) -> None:
        self.wormhole.allocate_code()

    def wormhole_got_message(self, message: bytes) -> None:
        self.heard.append(message.decode())
        self.publish(seen=f"{self.user} {self.tone} {self.count} {self.heard}")


@flow("test-issue-token-3", appid=APPID)
class Incompatible(Flow):
    """A release in which the type of a field has changed."""

    user: int


def release(monkeypatch: pytest.MonkeyPatch, cls: type[Flow]) -> None:
    monkeypatch.setitem(base._kinds, "test-issue-token", cls)


def test_fields_of_a_new_release(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new field has its default and a lost one is dropped, in a flow that is under way."""
    world.add(IssueToken(user="ann"))
    world.serve()
    peer = world.peer(world.code())
    world.until(lambda: peer.messages)
    peer.send(b"before")
    world.deliver_all()
    world.crash()
    release(monkeypatch, Renewed)
    world.serve()
    peer.send(b"after")
    world.deliver_all()
    assert world.published()["seen"] == "ann warm 7 ['before', 'after']"


def test_a_release_that_cannot_read_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow that a release cannot load stays as it is, with the reason, and no value is told."""
    world.add(IssueToken(user="s3cr3t"))
    world.serve()
    code = world.code()
    world.crash()
    release(monkeypatch, Incompatible)
    world.add(Renewed(user="bob"), "bob")
    world.serve()
    world.advance(300)
    row = world.row()
    assert (row.status, row.finished_at, row.failures) == ("waiting", None, 0)
    assert row.trouble is not None
    assert row.trouble.startswith("cannot be loaded: ")
    assert "do not fit its class" in row.trouble
    assert "s3cr3t" not in row.trouble
    assert world.published() == {"code": code}
    assert world.status("bob") != "new"
    world.crash()
    # The release before, again: it is served as before, and nothing is said of it any more.
    monkeypatch.undo()
    world.serve()
    world.until(lambda: world.row().owner_alive)
    peer = world.peer(code)
    world.until(lambda: peer.messages)
    assert world.row().trouble is None


def test_what_one_release_cannot_load_another_serves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker that cannot load a flow leaves it to those that can, and serves all others."""
    calls: list[str] = []
    original = FlowRunner.__init__

    def load(runner: FlowRunner, taken: TakenFlow, owner: Any) -> None:
        calls.append(taken.name)
        if taken.name == "ann":
            raise RuntimeError("s3cr3t")
        original(runner, taken, owner)

    world.add(IssueToken(user="ann"))
    world.add(IssueToken(user="bob"), "bob")
    monkeypatch.setattr(FlowRunner, "__init__", load)
    world.serve()
    assert world.code("bob")
    world.advance(600)
    # Later each time, and not more often than once a minute in the end.
    assert 10 <= calls.count("ann") <= 20
    assert calls.count("bob") == 1
    row = world.row()
    assert (row.owner, row.wake_at) == (None, None), "it is free for others, at once"
    monkeypatch.setattr(FlowRunner, "__init__", original)
    world.until(lambda: world.published().get("code"))
    world.until(lambda: world.row().trouble is None)


def test_an_operator_ends_what_cannot_be_loaded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else does; but cancelling it needs no release that can load it, only a minute.

    Its secrets are shredded, as those of every flow that is cancelled.
    """

    def broken(self: object) -> None:
        raise ZeroDivisionError("s3cr3t")

    world.add(IssueToken(user="ann"))
    monkeypatch.setattr(IssueToken, "__setattr__", broken)
    world.serve()
    world.until(lambda: world.row().trouble)
    assert "s3cr3t" not in (world.row().trouble or "")
    assert world.journal.ask("ann", BATCH, "cancel")
    world.until(world.finished)
    assert world.status() == "cancelled"
    with pytest.raises(Shredded):
        world.journal.events(world.row().id)


def test_what_cannot_be_loaded_is_logged_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line for the operator, however often it is tried."""
    from twisted.logger import formatEvent, globalLogPublisher

    def broken(self: object) -> None:
        raise ZeroDivisionError("s3cr3t")

    lines: list[str] = []

    def hear(event: Any) -> None:
        lines.append(formatEvent(event))

    world.add(IssueToken(user="ann"))
    monkeypatch.setattr(IssueToken, "__setattr__", broken)
    globalLogPublisher.addObserver(hear)
    try:
        world.serve()
        world.advance(300)
    finally:
        globalLogPublisher.removeObserver(hear)
    [line] = [each for each in lines if "cannot be loaded" in each]
    assert "s3cr3t" not in line


def test_a_server_that_no_wormhole_can_have(world: World) -> None:
    """A flow whose mailbox server's URL this release does not take waits; others go on."""
    from holdfast.flows.document import new_flow

    def connector(url: str, owner: Any) -> Any:
        if url == "nonsense":
            raise ValueError("s3cr3t")
        return world.connector(url, owner)

    new = new_flow("ann", IssueToken(user="ann"), relay="nonsense", appid=APPID)
    world.journal.start_flows(BATCH, [new])
    world.add(IssueToken(user="bob"), "bob")
    world.serve(connector=connector)
    world.advance(5)
    assert not world.finished()
    assert "ValueError in connector" in (world.row().trouble or "")
    assert world.code("bob")


def test_two_names(world: World) -> None:
    """A kind is registered once."""
    with pytest.raises(ValueError, match="two flows are called 'test-issue-token'"):
        flow("test-issue-token", appid=APPID)(type("Other", (Flow,), {}))


def test_what_is_due_when_the_flow_is_lost_does_not_happen(world: World) -> None:
    """A lease may end in another thread just before a deadline, a wake or a request comes."""
    world.add(IssueToken(user="ann"))
    world.serve()
    world.code()
    (runner,) = world.engine.running.values()
    before = world.heard()
    runner.taken.journal.fence(CommitFailed("another worker has the flow"))
    runner.cancel()
    assert runner.host.is_over
    assert world.heard() == before
    assert world.row().status == "waiting"


def test_what_is_for_tor_waits_for_a_worker_that_has_it(world: World) -> None:
    """A worker that would connect directly leaves it alone, before it has begun and after."""
    new = new_flow("ann", IssueToken(user="ann"), relay=URL, appid=APPID, tor=True)
    world.journal.start_flows(BATCH, [new])

    def is_left_alone(status: str) -> None:
        world.serve()
        world.advance(10)
        row = world.row()
        assert (row.status, row.owner) == (status, None)
        assert "it was started with --tor" in (row.trouble or "")
        world.crash()

    is_left_alone("new")
    assert not world.server.tables().nameplates
    world.serve(tor=TorManager(Streams()))
    assert world.code()
    world.until(lambda: world.row().trouble is None)
    world.crash()
    is_left_alone("waiting")
    world.serve(tor=TorManager(Streams()))
    world.until(lambda: world.row().owner_alive)


class Streams:
    """A Tor; in this world there is another connector."""

    def stream_via(self, host: str, port: int, tls: bool = False) -> Any:
        raise AssertionError
