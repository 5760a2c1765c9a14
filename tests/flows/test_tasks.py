"""Tasks: run after their commit, tried again under one key, and never more at once than allowed."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from holdfast import Flow, TaskFailed, flow, task
from holdfast_journal import KeyRing, SqlJournal
from tests.flows.world import World

APPID = "example.com/tasks"


class Work:
    """What the task below does, as each test wants it."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, str]] = []
        self.outcomes: list[Any] = []
        self.cancelled = 0

    def reset(self) -> None:
        self.__init__()


WORK = Work()


@pytest.fixture(autouse=True)
def work() -> Iterator[Work]:
    WORK.reset()
    yield WORK
    WORK.reset()


@task("test-work", tries=4, at_once=2, timeout=30)
def work_hard(call: Any) -> Any:
    WORK.calls.append((call.reactor.seconds(), call.key))
    outcome = WORK.outcomes.pop(0) if WORK.outcomes else "result"
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


@flow("test-worker", appid=APPID)
class Worker(Flow):
    jobs: int = 1

    def started(self) -> None:
        for number in range(self.jobs):
            self.perform("test-work", number=number)

    def test_work_done(self, result: str) -> None:
        self.publish(result=result)

    def test_work_failed(self, reason: str) -> None:
        self.publish(failed=reason)


@flow("test-careless", appid=APPID)
class Careless(Flow):
    job: str

    def started(self) -> None:
        self.wormhole.allocate_code()
        self.perform(self.job)


@task("test-twice")
@task("test-once")
def several(call: Any) -> None: ...


class Bound:
    """A task that is an object's method, as a command's may be."""

    def work(self, call: Any) -> str:
        return f"bound {call.arguments['number']}"


BOUND = Bound()
task("test-bound")(BOUND.work)


@flow("test-by-function", appid=APPID)
class ByFunction(Flow):
    def started(self) -> None:
        self.wormhole.allocate_code()
        self.perform(work_hard)
        self.perform(BOUND.work, number=7)

    def test_work_done(self, result: str) -> None:
        self.publish(work=result)

    def test_bound_done(self, result: str) -> None:
        self.publish(bound=result)


def keys() -> set[str]:
    return {key for _, key in WORK.calls}


def test_a_clock_that_is_set_back(world: World) -> None:
    """A try that is due by a clock which was set back since is made all the same, soon."""
    WORK.outcomes = [TaskFailed("not yet")]
    world.add(Worker())
    world.serve()
    world.until(lambda: WORK.calls)
    world.crash()
    world.set_back = 86400.0
    world.serve()
    world.until(lambda: world.published().get("result"), seconds=62)
    assert len(keys()) == 1


def test_a_result_comes_back(world: World) -> None:
    """The task runs once, after the commit that asked for it, and its result is told."""
    world.add(Worker())
    world.serve()
    assert world.row().seq >= 1
    assert not WORK.calls
    world.until(lambda: world.published().get("result") == "result")
    world.advance(200)
    assert len(WORK.calls) == 1
    assert [len(key) for key in keys()] == [32]


def test_many_that_wait_and_are_done_at_once(world: World) -> None:
    """However many tasks wait for a place, and return at once when they have it, all are done."""
    slow: list[Deferred[str]] = [Deferred(), Deferred()]
    WORK.outcomes = [*slow]
    world.add(Worker(jobs=150))
    world.serve()
    world.until(lambda: len(WORK.calls) == 2)
    world.advance(1)
    slow[0].callback("result")
    world.until(lambda: len(WORK.calls) == 150)
    slow[1].callback("result")
    assert len(keys()) == 150
    assert sum(heard == "task test-work: done" for heard in world.heard()) == 150


def test_tried_again_with_growing_delays(world: World) -> None:
    """Failed tries are repeated later and later, under one key, and then given up."""
    WORK.outcomes = [TaskFailed(f"no {number}") for number in range(9)]
    world.add(Worker())
    world.serve()
    world.until(lambda: world.published().get("failed") == "no 3")
    times = [at for at, _ in WORK.calls]
    assert len(times) == 4
    delays = [later - earlier for earlier, later in pairwise(times)]
    for delay, least in zip(delays, [0.5, 1, 2], strict=True):
        # The clock goes in steps of half a second.
        assert least <= delay <= 2 * least + 0.5
    assert len(keys()) == 1
    assert any("no 0; will be tried again" in entry for entry in world.heard())


def test_the_key_stays_across_a_restart(world: World) -> None:
    """Killed while a task runs, or waits to be tried again, it is run again under the same key."""
    WORK.outcomes = [Deferred(), TaskFailed("no"), "at last"]
    world.add(Worker())
    for calls in (1, 2):
        world.serve()
        world.until(lambda calls=calls: len(WORK.calls) == calls)
        world.crash()
    world.serve()
    world.until(lambda: world.published().get("result") == "at last")
    assert len(keys()) == 1


def test_the_number_of_tries_survives(world: World) -> None:
    """A process that is killed after every try does not try for ever."""
    WORK.outcomes = [TaskFailed("no") for _ in range(9)]
    world.add(Worker())
    for calls in range(1, 5):
        world.serve()
        world.until(lambda calls=calls: len(WORK.calls) == calls)
        world.crash()
    world.serve()
    assert world.published() == {"failed": "no"}
    assert len(keys()) == 1


def test_two_tasks_have_two_keys(world: World) -> None:
    """Each request for a task has a key of its own, and another flow's differ too."""
    world.add(Worker(jobs=2))
    world.add(Worker(jobs=2), "bob")
    world.serve()
    world.until(lambda: len(WORK.calls) == 4)
    assert len(keys()) == 4


def test_final_failures_are_not_repeated(world: World) -> None:
    """A failure that says it is final ends the task at its first try."""
    WORK.outcomes = [TaskFailed("never", final=True)]
    world.add(Worker())
    world.serve()
    world.until(lambda: world.published().get("failed") == "never")
    world.advance(100)
    assert len(WORK.calls) == 1


def test_timeouts(world: World) -> None:
    """A task without a result in its time is cancelled and tried again."""

    def cancelled(_: object) -> None:
        WORK.cancelled += 1

    WORK.outcomes = [Deferred(cancelled), "in time"]
    world.add(Worker())
    world.serve()
    world.until(lambda: world.published().get("result") == "in time")
    assert WORK.cancelled == 1
    assert any("no result after 30 seconds" in entry for entry in world.heard())


def test_an_exception_tells_only_its_type(world: World) -> None:
    """What a task raises may quote a secret: only its type gets into the history."""
    WORK.outcomes = [ValueError("s3cr3t")]
    world.add(Worker())
    world.serve()
    world.until(lambda: world.published().get("result"))
    assert any("it raised ValueError" in entry for entry in world.heard())
    assert "s3cr3t" not in str(world.heard())


def test_not_more_at_once_than_allowed(world: World) -> None:
    """At most as many run at the same time as the task allows; the others follow."""
    WORK.outcomes = running = [Deferred() for _ in range(5)]
    running = list(running)
    world.add(Worker(jobs=5))
    world.serve()
    world.advance(5)
    assert len(WORK.calls) == 2
    for done, begun in zip(running, [3, 4, 5, 5, 5], strict=True):
        done.callback("done")
        world.advance(1)
        assert len(WORK.calls) == begun


def test_without_a_method_for_failures_the_flow_fails(world: World) -> None:
    """A task that fails for good fails a flow that has no say in it, with the reason."""
    WORK.outcomes = [TaskFailed("never", final=True)]
    world.add(Careless(job="test-work"))
    world.serve()
    world.until(world.finished)
    assert world.status() == "failed"
    assert world.published()["reason"] == "test-work: never"


def test_a_task_that_nobody_knows(world: World) -> None:
    """A task that is not registered in this process fails, and says so."""
    world.add(Careless(job="unheard-of"))
    world.serve()
    world.until(world.finished)
    assert world.status() == "failed"
    assert "no task called 'unheard-of' is known here" in world.published()["reason"]


def test_cancelled_with_its_flow(world: World) -> None:
    """A clean stop cancels what runs; the next process runs it again under the same key."""

    def cancelled(_: object) -> None:
        WORK.cancelled += 1

    WORK.outcomes = [Deferred(cancelled), "result"]
    world.add(Worker())
    world.serve()
    world.until(lambda: WORK.calls)
    for runner in list(world.engine.running.values()):
        runner.abandon()
    assert WORK.cancelled == 1
    world.crash()
    world.serve()
    world.until(lambda: world.published().get("result"))
    assert len(keys()) == 1


def test_two_names() -> None:
    """A task is registered once."""
    with pytest.raises(ValueError, match="two tasks are called 'test-work'"):
        task("test-work")(work_hard)


@pytest.mark.parametrize("taken", [True, False])
def test_not_begun_by_a_worker_that_was_paused(tmp_path: Path, taken: bool) -> None:
    """A task whose time comes after a pause is begun only if nobody else took the flow."""
    world = World()
    clocks: dict[str, Any] = {"clock": world.now, "uptime": world.now, "lease": 30.0}
    url, keys = f"sqlite:///{tmp_path}/journal.db", KeyRing.random()
    world.journal.close()
    world.journal = SqlJournal.open_inline(url, keys=keys, **clocks)
    other = SqlJournal.open_inline(url, keys=keys, **clocks)
    WORK.outcomes = [TaskFailed("no"), "at last"]
    world.add(Worker())
    world.serve()
    world.until(lambda: len(WORK.calls) == 1)
    for call in world.reactor.getDelayedCalls():
        if not getattr(call.func, "__qualname__", "").startswith("Executor"):
            call.delay(3600)  # the task is what wakes up first
    for clock in (world.clock, world.reactor):
        clock.rightNow += 100  # paused
    if taken:
        assert [flow.name for flow in other.take()] == ["ann"]
    world.reactor.advance(0)
    assert len(WORK.calls) == (1 if taken else 2)
    assert (world.engine is not None) and (not world.engine.running) is taken
    world.close()
    other.close()


def test_a_task_that_is_given_as_its_function(world: World) -> None:
    """It is that which was registered, under its own name."""
    world.add(ByFunction())
    world.serve()
    world.until(lambda: {"work", "bound"} <= world.published().keys())
    assert (world.published()["work"], world.published()["bound"]) == ("result", "bound 7")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda call: None, "<lambda> is not a task here"),
        (several, r"several is several tasks \(test-once, test-twice\)"),
        (Bound().work, r"Bound\.work is not a task here"),
    ],
)
def test_a_function_that_is_no_task(given: Any, said: str) -> None:
    """It is refused where it is asked for, before the flow's host hears of it."""
    with pytest.raises(ValueError, match=said):
        Worker().perform(given)
