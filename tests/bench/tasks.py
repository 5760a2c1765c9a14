"""Flows of five durable tasks each, one after the other: how many a second, and their CPU.

The peer is DBOS Transact with workflows of five steps, so many at a time, in threads.  Ours are
flows that perform five tasks and finish, with so many places in the engine; the flows are in the
database when the clock starts, and their wormholes are given nobody to connect to, since a workflow
of the peer has no network either.  Tasks and steps return at once: what is measured is what it
costs to remember them.  Both on SQLite on the disk and, if a server is installed, on PostgreSQL.

Fair, but not the same: ours seals everything and gathers the commits of many flows; the peer
commits each step by itself, and uses SQLite as it configures it.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from itertools import count as numbers
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed

from tests.bench.measuring import Bench, Figures, Outcome, Row, folder, program, sample
from tests.journal.postgres import find_server, server

TASKS = 5
AT_ONCE = (10, 100)
USUAL = 100


@define(eq=False)
class Nobody:
    """A connector that connects to nobody."""

    url: str
    owner: object

    def start(self) -> None:
        pass

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def welcomed(self) -> None:
        pass

    def retry_now(self) -> None:
        pass


def measure(url: str, count: int, at_once: int) -> Figures:
    """Flows a second."""
    from twisted.internet import reactor

    from holdfast.flows import Flow, flow, task
    from holdfast.flows.document import new_flow
    from holdfast.flows.engine.engine import Engine
    from holdfast_journal import SqlJournal

    @task("bench-step")
    def step(call: Any) -> Any:
        return call.arguments["number"]

    @flow("bench-five", appid="example.com/bench")
    class Five(Flow):
        steps: int = field(default=0, init=False)

        def started(self) -> None:
            self.perform("bench-step", number=0)

        def bench_step_done(self, _: Any) -> None:
            self.steps += 1
            if self.steps < TASKS:
                self.perform("bench-step", number=self.steps)
            else:
                self.finish()

    journal = SqlJournal.open(url, reactor=reactor)
    engine = Engine(journal, reactor, connections=at_once, connector=Nobody)
    figures: dict[str, float] = {}
    began: list[float] = []

    def start(batch: str, flows: int) -> None:
        new = [
            new_flow(f"flow {n}", Five(), relay="ws://127.0.0.1:1/v1", appid="example.com/bench")
            for n in range(flows)
        ]
        journal.start_flows(batch, new)

    def when_done(total: int, then: Callable[[], object]) -> None:
        done = journal.counts().get("done", 0)
        if done == total and not engine.running:
            then()
        else:
            reactor.callLater(0.05, when_done, total, then)

    def begin() -> None:
        engine.start()
        when_done(at_once, warm)

    def warm() -> None:
        start("bench", count)
        began[:] = [time.monotonic(), time.process_time()]
        when_done(at_once + count, end)

    def end() -> None:
        figures["per_second"] = count / (time.monotonic() - began[0])
        figures["cpu_ms"] = (time.process_time() - began[1]) / count * 1000
        engine.stop().addBoth(lambda _: reactor.stop())

    start("warm", at_once)
    reactor.callWhenRunning(begin)
    reactor.run()
    journal.close()
    return figures


def compare(bench: Bench) -> Outcome:
    """Both, on both databases."""
    rows: list[Row] = []
    notes: list[str] = []
    with ExitStack() as stack:
        disk = stack.enter_context(folder(on_disk=True))
        unique = numbers()
        databases: dict[str, tuple[Callable[[], str], float, float]] = {
            "SQLite": (lambda: f"sqlite:///{disk}/{next(unique)}.db", 600, 53)
        }
        programs = find_server()
        if programs is not None:
            running = stack.enter_context(server(programs, durable=True))
            databases["PostgreSQL"] = (running.database, 300, 78)
        for kind, (database, goal, then) in databases.items():
            for at_once in AT_ONCE:
                found = bench.rounds(
                    2 if at_once == USUAL else 1, _contestants(bench, database, at_once)
                )
                peer, ours = found["DBOS"], found["Holdfast"]
                if at_once == USUAL:
                    what = f"flows of {TASKS} durable tasks, {kind}, {at_once} at once"
                    rates = (sample(each, "per_second", "flows/s") for each in (peer, ours))
                    costs = (sample(each, "cpu_ms", "ms") for each in (peer, ours))
                    rows += [
                        Row(f"CPU of a flow of {TASKS} durable tasks, {kind}", *costs),
                        Row(what, *rates, at_least=goal, more_is_better=True, then=then),
                    ]
                else:
                    notes.append(
                        f"Flows of {TASKS} durable tasks, {kind}, {at_once} at once:"
                        f" DBOS {peer[0]['per_second']:.0f} a second,"
                        f" Holdfast {ours[0]['per_second']:.0f}."
                    )
    return Outcome(rows, notes=notes)


def _contestants(
    bench: Bench, database: Callable[[], str], at_once: int
) -> Mapping[str, Callable[[], Figures]]:
    def theirs() -> Figures:
        url = database().replace("postgresql:", "postgresql+psycopg:")
        return bench.peer("dbos", "dbos_tasks.py", url=url, count=60, at_once=at_once)

    def ours() -> Figures:
        many = 100 if at_once < USUAL else 500
        return bench.ours("tasks", url=database(), count=many, at_once=at_once)

    return {"DBOS": theirs, "Holdfast": ours}


if __name__ == "__main__":
    program(measure)
