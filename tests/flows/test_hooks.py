"""What outlives a flow: hooks, and every other detached task."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from holdfast import Flow, TaskFailed, flow, task
from holdfast.flows import tasks
from holdfast.flows.document import new_flow
from holdfast.flows.engine.detached import CLAIM, LONGEST_PAUSE, pause_after
from holdfast.flows.hooks import EVENTS
from holdfast.flows.shipped.coding import Coding
from holdfast.flows.shipped.provision import Provision
from holdfast.operating.hooks import missing_secret
from holdfast.operating.story import Story
from holdfast_journal import CANCEL
from holdfast_journal.upkeep import Upkeep
from tests.flows.world import BATCH, URL, World

HOOKS = {event: [f"https://shop.example/{event}"] for event in EVENTS}


@define
class Shop:
    """A receiver: what it was told, and what it says."""

    told: list[Any] = field(factory=list)
    """(idempotency key, body)."""
    outcomes: list[Any] = field(factory=list)

    def hears(self, call: Any) -> None:
        self.told.append((call.key, call.arguments["body"]))
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome

    def events(self) -> list[tuple[str, str, str]]:
        found = [json.loads(body) for _, body in self.told]
        return [(each["event"], each["status"], each["reason"]) for each in found]


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    shop = Shop()
    for event in EVENTS:
        kind = tasks.Kind(shop.hears, 10, 4, 30.0, blocks=False)
        monkeypatch.setitem(tasks._kinds, f"webhook-{event}", kind)
    return shop


@pytest.fixture
def world() -> Iterator[World]:
    with World() as world:
        yield world


def add(world: World, made: Any = None, **options: Any) -> None:
    made = made or Provision(name="ann", secret="S3CR3T")
    new = new_flow("ann", made, relay=URL, hooks=HOOKS, **options)
    world.journal.start_flows(BATCH, [new])
    world._appid = made.appid
    world.serve()


def left(world: World) -> int:
    """How many tasks there are of any kind."""
    return len(rows(world))


def rows(world: World) -> list[Any]:
    with world.journal._database.reading() as connection:
        return list(connection.exec_driver_sql("SELECT * FROM holdfast_tasks"))


DOWN = TaskFailed("the receiver says 503")


class TestHooks:
    def test_collected(self, world: World, shop: Shop) -> None:
        """Its code is told, and that it was collected; never the secret."""
        add(world)
        code = world.code()
        world.until(lambda: shop.told)
        world.peer(code, lambda peer, _: peer.send(b'{"answer": {"message_ack": "ok"}}'))
        world.until(lambda: world.finished() and not left(world))
        assert shop.events() == [("code", "waiting", ""), ("collected", "done", "")]
        message = json.loads(shop.told[0][1])
        row = world.row()
        assert message.pop("time").startswith("1970-01-01T00:00:0")
        assert message == {
            "event": "code",
            "flow": row.uid,
            "name": "ann",
            "batch": BATCH,
            "kind": "provision",
            "attempt": 1,
            "status": "waiting",
            "reason": "",
            "code": code,
        }
        assert "code" not in json.loads(shop.told[1][1])
        assert not any("S3CR3T" in body for _, body in shop.told)
        told = [step.what for step in Story(world.journal, row).steps() if "task" in step.what]
        assert told == ["task webhook-code asked for", "task webhook-collected asked for"]

    def test_wrong_guesses(self, world: World, shop: Shop) -> None:
        """Each wrong guess is told, the last one as the end; the same code is told once."""
        add(world, Provision(name="ann", secret="s", coding=Coding(words=3, guesses=2)))
        number, _, words = world.code().partition("-")
        for guess in (1, 2):
            world.peer(f"{number}-not-{words}")
            world.until(lambda: world.published().get("guesses", "")[:1] == str(guess))  # noqa: B023
            world.until(lambda: world.status() in ("waiting", "scared"))
        world.until(lambda: not left(world))
        assert shop.events() == [
            ("code", "waiting", ""),
            ("trouble", "waiting", "wrong code, guess 1 of 2"),
            ("trouble", "wrong code", "the other side used a different code"),
        ]
        assert len({key for key, _ in shop.told}) == 3

    def test_ends_that_are_trouble_or_not(self, world: World, shop: Shop) -> None:
        """An expired flow is trouble; one that an operator cancels is told to nobody."""
        add(world, deadline=30.0)
        world.until(lambda: world.finished() and not left(world))
        assert shop.events()[1:] == [
            ("trouble", "expired", "it was not collected before its deadline")
        ]
        other = Provision(name="bob", secret="s")
        world.journal.start_flows(BATCH, [new_flow("bob", other, relay=URL, hooks=HOOKS)])
        world.code("bob")
        world.journal.ask("bob", BATCH, CANCEL)
        world.until(lambda: world.finished("bob") and not left(world))
        assert [event for event, *_ in shop.events()] == ["code", "trouble", "code"]

    def test_set_aside(self, world: World, shop: Shop) -> None:
        """A flow that cannot be run any more is trouble, too; `retry` tells anew."""
        add(world, Provision(name="ann", secret="s", mint=["never"]))
        world.code()
        for _ in range(3):  # its code raises
            world.until(lambda: world.engine.running)
            (runner,) = world.engine.running.values()
            runner._broken(Failure(ValueError("of its own")))
        world.until(lambda: world.finished() and not left(world))
        assert [event for event, *_ in shop.events()] == ["code", "trouble"]
        assert shop.events()[1][:2] == ("trouble", "failed")
        world.journal.retry("ann", BATCH)
        world.until(lambda: len(shop.told) == 3)
        assert json.loads(shop.told[2][1])["attempt"] == 2
        assert len({key for key, _ in shop.told}) == 3


class TestAReceiverThatIsDown:
    def test_it_is_tried_again_when_the_flow_is_over(self, world: World, shop: Shop) -> None:
        """The flow ends and is shredded all the same; the same is told under the same key."""
        shop.outcomes = [DOWN, DOWN]
        add(world, deadline=5.0)
        world.until(world.finished)
        assert world.row().published is None
        world.until(lambda: not left(world), seconds=60)
        assert len(shop.told) == 4
        assert len(set(shop.told)) == 2

    def test_what_operators_see_and_do(self, world: World, shop: Shop) -> None:
        """Why it waits; retry and shredding leave it; purging removes it."""
        shop.outcomes = [DOWN] * 100
        add(world, deadline=5.0)
        world.until(world.finished)
        world.advance(30)
        assert {row.name for row in rows(world)} == {"webhook-code", "webhook-trouble"}
        assert {row.error for row in rows(world)} == {"the receiver says 503"}
        assert all(row.attempts > 2 and row.number < 0 for row in rows(world))
        world.journal.shred_due()
        assert not [flow for flow in world.journal.checks.flows() if flow.findings]
        assert left(world) == 2

    def test_without_a_secret(
        self, world: World, shop: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A worker is told at its start what it cannot send, and for want of what."""
        monkeypatch.delenv("HOLDFAST_HOOK_SECRET", raising=False)
        assert missing_secret(world.journal, BATCH) is None
        shop.outcomes = [DOWN] * 9
        add(world)
        world.code()
        world.until(lambda: shop.told)
        assert str(missing_secret(world.journal, BATCH)).startswith(
            "1 message for a webhook cannot be sent: a webhook is signed, and there is no"
        )
        monkeypatch.setenv("HOLDFAST_HOOK_SECRET", "a-secret-that-is-long-enough")
        assert missing_secret(world.journal, BATCH) is None

    def test_a_receiver_that_wants_no_more(self, world: World, shop: Shop) -> None:
        """A final refusal is the end of it."""
        shop.outcomes = [TaskFailed("the receiver says 410", final=True)]
        add(world)
        world.code()
        world.until(lambda: shop.told and not left(world))
        assert len(shop.told) == 1


def test_pauses() -> None:
    """They grow to an hour, and are spread."""
    assert [pause_after(tries, 1.0) for tries in (1, 2, 3)] == [1, 2, 4]
    assert pause_after(3, 0.0) == 2.0
    assert pause_after(10_000, 1.0) == LONGEST_PAUSE
    assert sum(pause_after(tries, 1.0) for tries in range(1, 80)) > 2 * 86_400


TOLD: list[str] = []
FAILS: list[bool] = []
SLOW: list[Deferred[None]] = []


@pytest.fixture(autouse=True)
def clean() -> None:
    TOLD.clear()
    FAILS.clear()
    SLOW.clear()


@task("test-detached")
def tell(call: Any) -> Deferred[None] | None:
    TOLD.append(call.key)
    if FAILS:
        raise TaskFailed("not yet")
    return SLOW.pop() if SLOW else None


@flow("test-leaves-something", appid="example.com/hooks")
class Leaves(Flow):
    def started(self) -> None:
        self.perform_detached("test-detached", what="it began")
        self.finish()


class TestDetached:
    def test_by_another_worker(self, tmp_path: Path) -> None:
        """A worker that stops in the middle leaves it to the next; one that dies, too, later."""
        with World(f"sqlite:///{tmp_path / 'a.db'}") as world:
            FAILS.append(True)
            world.start(Leaves(), "ann")
            world.until(world.finished)
            world.until(lambda: TOLD)
            world.crash()
            FAILS.clear()
            before = len(TOLD)
            world.serve()
            world.until(lambda: len(TOLD) > before and not left(world))
            assert len(set(TOLD)) == 1

    def test_a_worker_that_stops(self, tmp_path: Path) -> None:
        """What it was just doing is cut off, and is the next one's at once."""
        with World(f"sqlite:///{tmp_path / 'a.db'}") as world:
            SLOW.append(Deferred())
            world.start(Leaves(), "ann")
            world.until(world.finished)
            world.until(lambda: TOLD)
            world.stop()
            (row,) = rows(world)
            assert row.error == "stopped with its worker"
            assert row.due_at <= world.now()
            world.serve()
            world.until(lambda: not left(world), seconds=2)
            assert len(TOLD) == 2
            assert len(set(TOLD)) == 1

    def test_one_that_takes_long(self, tmp_path: Path) -> None:
        """No other worker begins it meanwhile; if its worker dies, another one does so soon."""
        with World(f"sqlite:///{tmp_path / 'a.db'}") as world:
            SLOW.append(Deferred())
            world.start(Leaves(), "ann")
            world.until(lambda: TOLD)
            world.advance(45)
            (row,) = rows(world)
            assert 0 < row.due_at - world.now() <= CLAIM
            world.crash()
            world.serve()
            world.until(lambda: not left(world), seconds=CLAIM + 10)
            assert len(TOLD) == 2

    def test_by_a_worker_without_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It waits for a worker that knows the task."""
        with World() as world:
            monkeypatch.delitem(tasks._kinds, "test-detached")
            world.start(Leaves(), "ann")
            world.until(world.finished)
            world.advance(60)
            assert left(world) == 1
            monkeypatch.undo()
            world.until(lambda: not left(world))
            assert len(TOLD) == 1


def test_purging(tmp_path: Path) -> None:
    """What was not told goes with its flow."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    with World(url) as world:
        FAILS.append(True)
        world.start(Leaves(), "ann")
        world.until(world.finished)
        world.until(lambda: TOLD)
        with closing(Upkeep.open(url, clock=world.now)) as upkeep:
            done = upkeep.purge(upkeep.old(-1, None, names=True))
            assert (done.flows, done.untold) == (1, 1)
        world.advance(10)
        assert not left(world)
