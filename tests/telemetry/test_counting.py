"""What an engine's flows do, counted: once each, when it is durable, and with nothing secret."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from holdfast.flows import Flow, flow
from holdfast.flows.shipped.coding import Coding
from holdfast.flows.shipped.provision import Provision
from holdfast.flows.tasks import Call, TaskFailed, task
from holdfast.telemetry.counting import FlowCounts
from holdfast.testing import Peer
from tests.flows.world import World

SECRET = "s3cr3t-of-ann"
ACCEPT = b'{"answer": {"message_ack": "ok"}}'


@task("test-counted", tries=3)
def counted(call: Call) -> None:
    if call.arguments["fails"]:
        raise TaskFailed("not yet", final=call.arguments["final"])


@flow("test-counting", appid="example.com/test")
class Counting(Flow):
    """It asks for a task, and ends with its outcome."""

    fails: bool = False
    final: bool = False

    def started(self) -> None:
        self.perform("test-counted", fails=self.fails, final=self.final)

    def test_counted_done(self, _: object) -> None:
        self.finish()


@flow("test-raising", appid="example.com/test")
class Raising(Flow):
    """Its own code raises."""

    def started(self) -> None:
        raise ValueError(SECRET)


class Counted:
    """A world whose flows are counted."""

    def __init__(self, path: Path) -> None:
        self.world = World(f"sqlite:///{path}/journal.db")
        self.registry = CollectorRegistry()
        self.observer = FlowCounts(self.registry)

    def begin(self, *flows: Flow) -> None:
        for number, each in enumerate(flows):
            self.world.add(each, f"ann{number or ''}")
        self.world.serve(observer=self.observer)

    def number(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    def ended(self, status: str, kind: str = "provision") -> float:
        return self.number("holdfast_flow_changes_total", kind=kind, status=status)


@pytest.fixture
def counted_world(tmp_path: Path) -> Iterator[Counted]:
    made = Counted(tmp_path)
    yield made
    made.world.close()


def accept(peer: Peer, _: bytes) -> None:
    peer.send(ACCEPT)
    peer.close()


def test_an_exchange(counted_world: Counted) -> None:
    """It passes every status once; its times are those of the people, also through a crash."""
    world = counted_world.world
    counted_world.begin(Provision(name="ann", secret=SECRET))
    code = world.code()
    world.until(lambda: world.status() == "waiting")
    world.advance(30)
    world.crash()
    world.serve(observer=counted_world.observer)
    world.advance(60)
    world.peer(code, accept)
    world.until(world.finished)
    for status in ("starting", "waiting", "exchanging", "closing", "done"):
        assert counted_world.ended(status) == 1, status
    sum_of = "holdfast_code_to_recipient_seconds_sum"
    assert counted_world.number(sum_of, kind="provision") == pytest.approx(90, abs=2)
    assert (
        counted_world.number("holdfast_recipient_to_receipt_seconds_count", kind="provision") == 1
    )
    assert counted_world.number("holdfast_flows_taken_total", kind="provision") == 2
    assert counted_world.number("holdfast_takeovers_total", kind="provision") == 1
    shown = generate_latest(counted_world.registry).decode()
    flow_row = world.row()
    for hidden in (SECRET, code, code.partition("-")[2], flow_row.uid, "ann"):
        assert hidden not in shown


def test_wrong_guesses(counted_world: Counted) -> None:
    """Each is counted, also one after which the code is opened again."""
    world = counted_world.world
    asked = Provision(name="ann", secret=SECRET, coding=Coding(words=4, guesses=2))
    counted_world.begin(asked)
    number = world.code().partition("-")[0]
    for guesses in (1, 2):
        world.until(lambda: world.status() == "waiting")
        wrong = world.peer(f"{number}-wrong-guess")
        world.until(lambda: wrong.result)  # noqa: B023 - called before it changes
        world.until(lambda: world.status() != "exchanging")
        name = "holdfast_wrong_guesses_total"
        assert counted_world.number(name, kind="provision") == guesses
    world.until(world.finished)
    assert counted_world.ended("wrong code") == 1
    assert (
        counted_world.number("holdfast_recipient_to_receipt_seconds_count", kind="provision") == 0
    )


@pytest.mark.parametrize(
    ("fails", "final", "outcomes"),
    [
        (False, False, {"done": 1}),
        (True, False, {"again": 2, "failed": 1}),
        (True, True, {"failed": 1}),
    ],
)
def test_tasks(counted_world: Counted, fails: bool, final: bool, outcomes: dict[str, int]) -> None:
    """Each try is counted by what came of it."""
    world = counted_world.world
    counted_world.begin(Counting(fails=fails, final=final))
    world.until(world.finished)
    found = {
        outcome: counted_world.number(
            "holdfast_task_tries_total", task="test-counted", outcome=outcome
        )
        for outcome in outcomes
    }
    assert found == outcomes
    tries = counted_world.number("holdfast_task_seconds_count", task="test-counted")
    assert tries == sum(outcomes.values())


def test_code_that_raises(counted_world: Counted) -> None:
    """It is counted each time, and so is the end of the flow that is set aside for it."""
    world = counted_world.world
    counted_world.begin(Raising())
    world.until(world.finished)
    assert counted_world.number("holdfast_flow_errors_total", kind="test-raising") == 3
    assert counted_world.ended("failed", "test-raising") == 1


def test_nothing_is_told_that_was_not_saved(counted_world: Counted, tmp_path: Path) -> None:
    """If another worker has the flow, its move is told by that worker alone."""
    world = counted_world.world
    counted_world.begin(Provision(name="ann", secret=SECRET))
    world.until(lambda: world.status() == "waiting")
    with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as database:
        database.execute("UPDATE holdfast_flows SET epoch = epoch + 1")
    assert world.engine is not None
    (runner,) = world.engine.running.values()
    runner.cancel()
    assert not world.engine.running
    assert counted_world.ended("closing") == counted_world.ended("cancelled") == 0
