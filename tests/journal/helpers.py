"""A reactor that turns when told, a flow that can be run, and failures on demand."""

import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from attrs import define, field
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import OperationalError

from holdfast_journal import NewFlow, Snapshot, SqlJournal, TakenFlow

PATIENCE = 30.0
"""Seconds after which a test that waits for another thread has failed."""


@define(eq=False)
class Timer:
    """A call that `ManualReactor.pass_time` makes."""

    reactor: "ManualReactor"
    delay: float
    function: Callable[[], object]

    def cancel(self) -> None:
        self.reactor.timers.remove(self)


@define
class ManualReactor:
    """The two methods that the writer uses; nothing runs but inside its other methods."""

    later: deque[Callable[[], object]] = field(factory=deque)
    timers: list[Timer] = field(factory=list)
    threads: "queue.Queue[Callable[[], object]]" = field(factory=queue.Queue)

    def callLater(self, delay: float, function: Callable[[], object], /) -> object:  # noqa: N802
        if delay:
            self.timers.append(Timer(self, delay, function))
            return self.timers[-1]
        self.later.append(function)
        return None

    def pass_time(self) -> None:
        """Make the calls that were put off."""
        due, self.timers = self.timers, []
        for timer in due:
            timer.function()

    def callFromThread(self, function: Callable[[], object], /) -> None:  # noqa: N802
        self.threads.put(function)

    def turn(self) -> None:
        """One turn: what was due when it began."""
        for _ in range(len(self.later)):
            self.later.popleft()()

    def wait(self) -> None:
        """Run the next call that another thread asks for."""
        self.threads.get(timeout=PATIENCE)()

    def until(self, reached: Callable[[], object]) -> None:
        """Turn until `reached()`."""
        while not reached():
            if self.later:
                self.turn()
            else:
                self.wait()


@define
class Runner:
    """Runs one flow: counts its events and lists what was released."""

    taken: TakenFlow
    status: str = "waiting"
    published: dict[str, str | int | float | None] = field(factory=dict)
    finished: bool = False
    shred: bool = False
    events: int = 0
    released: list[object] = field(factory=list)
    lost: list[Exception] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.taken.journal.attach(self.snapshot)
        self.taken.journal.when_lost = self.lost.append

    def snapshot(self) -> Snapshot:
        return Snapshot(
            self.status,
            f"after {self.events}".encode(),
            self.published,
            self.finished,
            self.shred,
        )

    def event(self, body: bytes = b"body", *calls: object) -> None:
        """Process one event, which queues `calls` (without: its own number)."""
        with self.taken.journal.process():
            self.events += 1
            heard = f"event {self.events}"
            self.taken.journal.record("message", heard=heard, said=["this"], event=body)
            for call in calls or (self.events,):
                self.taken.journal.queue_outbound(self.released.append, call)


def start(journal: SqlJournal, *names: str, batch: str = "batch", **options: Any) -> None:
    """Start flows named `names`."""
    flows = [NewFlow(name, "test", f"params of {name}".encode(), **options) for name in names]
    journal.start_flows(batch, flows)


def run(journal: SqlJournal, *names: str) -> list[Runner]:
    """Start flows, take them, and return their runners, in order."""
    start(journal, *names)
    taken = {flow.name: flow for flow in journal.take(names=names)}
    return [Runner(taken[name]) for name in names]


def locked() -> OperationalError:
    """An error that passes."""
    return OperationalError("COMMIT", {}, sqlite3.OperationalError("database is locked"))


def disk_failed() -> OperationalError:
    """An error that does not."""
    return OperationalError("COMMIT", {}, sqlite3.OperationalError("disk I/O error"))


@contextmanager
def at_commit(handler: Callable[[Connection], object], moment: str = "commit") -> Iterator[None]:
    """Call `handler` before every COMMIT (or at "begin"), of every engine, in whatever thread."""
    event.listen(Engine, moment, handler)
    try:
        yield
    finally:
        event.remove(Engine, moment, handler)


def at_once(jobs: list[Callable[[], None]]) -> None:
    """Run `jobs` in a thread each; raise what one of them raised."""
    errors: list[Exception] = []

    def guarded(job: Callable[[], None]) -> None:
        try:
            job()
        except Exception as error:  # noqa: BLE001  raised below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    if errors:
        raise errors[0]
