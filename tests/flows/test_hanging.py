"""Functions that never come back, and tries during which the process ends."""

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.logger import globalLogPublisher

from holdfast import Flow, TaskFailed, flow, task
from holdfast.flows.engine.threads import DaemonThreads, call_in
from holdfast.testing import Clock
from tests.flows.world import World
from tests.harness.waiting import DEADLINE

CALLS: list[str] = []
OUTCOMES: list[Any] = []
SLEEPS: list[threading.Event] = []


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    for each in (CALLS, OUTCOMES, SLEEPS):
        each.clear()
    yield
    for each in SLEEPS:
        each.set()


@pytest.fixture
def told() -> Iterator[list[str]]:
    lines: list[str] = []

    def observe(event: Any) -> None:
        if event["log_namespace"].startswith("holdfast"):
            lines.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def outcome(call: Any) -> Any:
    CALLS.append(call.key)
    found = OUTCOMES.pop(0) if OUTCOMES else "result"
    if isinstance(found, Exception):
        raise found
    return found


@task("test-pill", tries=3)
def pill(call: Any) -> Any:
    return outcome(call)


@task("test-one-try", tries=1)
def one_try(call: Any) -> Any:
    return outcome(call)


@task("test-hang", tries=3, at_once=1, timeout=30)
def hang(call: Any) -> Any:
    return outcome(call)


@task("test-sleep", tries=2, at_once=1, timeout=30, blocks=True)
def sleep(call: Any) -> Any:
    CALLS.append(call.key)
    SLEEPS.append(threading.Event())
    SLEEPS[-1].wait(30)


@flow("test-hanging", appid="example.com/hanging")
class Hanging(Flow):
    job: str
    jobs: int = 1

    def started(self) -> None:
        for _ in range(self.jobs):
            self.perform(self.job)

    def done(self, result: Any) -> None:
        self.publish(result=result)

    def failed(self, reason: str) -> None:
        self.publish(failed=reason)

    test_pill_done = test_one_try_done = test_hang_done = test_sleep_done = done
    test_pill_failed = test_one_try_failed = test_hang_failed = test_sleep_failed = failed


def deaths(world: World, most: int) -> int:
    """Run processes that end during the task, until one does not; return how many."""
    for number in range(most):
        OUTCOMES[:] = [Deferred()]
        before = len(CALLS)
        world.serve()
        world.until(
            lambda before=before: len(CALLS) > before or world.published().get("failed"), 100
        )
        if len(CALLS) == before:
            return number
        world.crash()
    return most


class TestTriesAreCountedWhenTheyBegin:
    @pytest.mark.parametrize(("job", "tries"), [("test-pill", 3), ("test-one-try", 1)])
    def test_a_process_that_ends_during_each(self, world: World, job: str, tries: int) -> None:
        """A task that ends its process does so as often as it may be tried; its flow hears."""
        world.add(Hanging(job=job))
        assert deaths(world, 9) == tries
        assert world.published() == {"failed": "the process ended during it"}

    def test_failures_and_deaths_count_together(self, world: World) -> None:
        """What failed, and what nobody heard of any more, are tries alike."""
        world.add(Hanging(job="test-pill"))
        OUTCOMES[:] = [TaskFailed("no"), Deferred()]
        world.serve()
        world.until(lambda: len(CALLS) == 2)
        assert "task test-pill: try 2 begins" in world.heard()
        world.crash()
        OUTCOMES[:] = [TaskFailed("no again")]
        world.serve()
        world.until(lambda: world.published().get("failed") == "no again")
        assert len(CALLS) == 3

    @pytest.mark.parametrize("job", ["test-pill", "test-one-try"])
    def test_a_clean_stop_costs_no_try(self, crashing: World, job: str) -> None:
        """However often a worker is asked to stop while a task runs, that is none of its tries."""
        crashing.add(Hanging(job=job))
        for _ in range(5):
            OUTCOMES[:] = [Deferred()]
            calls = len(CALLS)
            crashing.serve()
            crashing.until(lambda calls=calls: len(CALLS) > calls)
            crashing.stop()
        crashing.serve()
        crashing.until(lambda: crashing.published().get("result") == "result")
        assert len(set(CALLS)) == 1

    def test_those_that_were_there_are_tried_one_after_the_other(self, world: World) -> None:
        """Of tasks that ran when a process ended each is alone until its next try is over."""
        world.add(Hanging(job="test-pill", jobs=3))
        OUTCOMES[:] = [Deferred(), Deferred(), Deferred()]
        world.serve()
        world.until(lambda: len(CALLS) == 3)
        world.crash()
        first: Deferred[str] = Deferred()
        OUTCOMES[:] = [first]
        world.serve()
        world.advance(5)
        assert len(CALLS) == 4
        first.callback("result")
        world.until(lambda: len(CALLS) == 6)


class TestLateTries:
    def test_a_deferred_that_ignores_its_end(self, world: World, told: list[str]) -> None:
        """It keeps its place until it is over; that is said, and what it returns is dropped."""
        over: Deferred[str] = Deferred()

        @inlineCallbacks
        def stubborn() -> Any:
            try:
                yield Deferred()
            finally:
                yield over

        OUTCOMES[:] = [stubborn(), "second"]
        world.add(Hanging(job="test-hang"))
        world.serve()
        world.until(lambda: any("it still runs" in heard for heard in world.heard()))
        assert any("keeps one of its 1 places" in line for line in told)
        world.advance(20)
        assert len(CALLS) == 1
        over.callback("too late")
        world.until(lambda: world.published().get("result") == "second")

    def test_a_function_that_hangs(self, told: list[str]) -> None:
        """It keeps its place; the engine, other tasks, and its end do not wait for it."""
        world = World()
        world.reactor = Threaded()
        world.add(Hanging(job="test-sleep", jobs=2), "ann")
        world.serve(threads=Some(world.reactor))
        world.until(lambda: SLEEPS)
        world.advance(40)
        assert len(SLEEPS) == 1  # the other job's turn has not come
        assert any("it still runs, and keeps its place" in heard for heard in world.heard())
        assert any("wait, line" in line and "sleep, line" in line for line in told)
        world.add(Hanging(job="test-pill"), "bob")
        world.until(lambda: world.published("bob").get("result"))
        assert not world.finished("ann")
        stopped = world.engine.stop()
        world.advance(1)
        assert stopped.called
        world.engine = None
        world.close()


class Threaded(Clock):
    """A clock to which threads may give calls."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[Any] = []

    def callFromThread(self, function, *args, **kwargs) -> None:  # noqa: N802
        if threading.current_thread() is threading.main_thread():
            function(*args, **kwargs)
        else:
            self.given.append((function, args, kwargs))


class Some:
    """Threads for what hangs, and none for what does not."""

    def __init__(self, reactor: Clock) -> None:
        self.reactor = reactor
        self.daemons = DaemonThreads("test")

    def callInThreadWithCallback(self, done, function, *args, **kwargs) -> None:  # noqa: N802
        hangs = function.__name__ == "_run_in_thread"
        threads = self.daemons if hangs else self.reactor
        threads.callInThreadWithCallback(done, function, *args, **kwargs)


def test_no_thread_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no thread left, whoever asked for one is told."""

    def fail(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    failed: list[object] = []
    asked = call_in(DaemonThreads("test"), Clock(), lambda: None)
    asked.addErrback(lambda failure: failed.append(failure.type))
    assert failed == [RuntimeError]


def test_a_thread_is_there_for_the_next_call() -> None:
    """And for no other while a call hangs in it."""
    threads, told, hangs = DaemonThreads("test"), SimpleQueue[Any](), threading.Event()

    def asked(function: Callable[[], object]) -> None:
        threads.callInThreadWithCallback(lambda _, result: told.put(result), function)

    idents = set()
    for _ in range(3):
        asked(threading.get_ident)
        idents.add(told.get(timeout=DEADLINE))
    assert len(idents) == 1
    asked(hangs.wait)
    asked(threading.get_ident)
    assert told.get(timeout=DEADLINE) not in idents
    hangs.set()
    assert told.get(timeout=DEADLINE) is True
