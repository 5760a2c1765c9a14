"""Memory of a wormhole that waits for its peer, connected, with its code.

The process that has 100, then 200 and so on of them is asked how much memory is its own (private
pages, as the kernel counts them), and a wormhole is the slope between the first and the last, so
that nothing counts which is there once.  Fair, because both libraries run the same lines in
Deferred mode against the same stock server, ten codes under way at a time; the kernel's buffers of
the sockets count for neither.  A flow is more than a wormhole: it has its own fields, a runner, and
its part of the journal; it runs in the engine that `holdfast run` has.
"""

from pathlib import Path
from typing import Any

from twisted.internet.defer import DeferredSemaphore, gatherResults, inlineCallbacks

from tests.bench.exchange import APPID, run
from tests.bench.measuring import Bench, Figures, Outcome, Plot, Row, folder, program, sample
from tests.harness.server import MailboxServer

STEPS = (100, 200, 300, 400, 500)


def private() -> float:
    """Memory that is this process's alone, in kB."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("Private"))


def measure(url: str, steps: list[int], database: str | None = None) -> Figures:
    """The memory at every step, in kB, and the slope."""
    from twisted.internet import reactor

    if database is None:
        from holdfast import create

        return grow(create, url, steps, reactor)
    return flows(url, steps, database, reactor)


def grow(create: Any, url: str, steps: list[int], reactor: Any) -> Figures:
    """The same lines for both libraries."""
    import gc

    kept: list[Any] = []
    seen: list[tuple[int, float]] = []

    @inlineCallbacks
    def one() -> Any:
        wormhole = create(APPID, url, reactor)
        kept.append(wormhole)
        wormhole.allocate_code(2)
        yield wormhole.get_code()

    @inlineCallbacks
    def story() -> Any:
        turns = DeferredSemaphore(10)
        for step in steps:
            yield gatherResults([turns.run(one) for _ in range(step - len(kept))])
            gc.collect()
            seen.append((step, private()))

    run(reactor, story)
    return slope(seen)


def flows(url: str, steps: list[int], database: str, reactor: Any) -> Figures:
    """The same with flows in the engine."""
    import gc

    from holdfast.flows.document import new_flow
    from holdfast.flows.engine.engine import Engine
    from holdfast.flows.shipped.provision import Provision
    from holdfast.transfer.text import APPID as TEXT
    from holdfast_journal import SqlJournal

    journal = SqlJournal.open(database, reactor=reactor)
    engine = Engine(journal, reactor)
    seen: list[tuple[int, float]] = []

    def step(number: int) -> None:
        have = steps[number - 1] if number else 0
        new = [
            new_flow(f"p{n}", Provision(name=f"p{n}", secret="s" * 32), relay=url, appid=TEXT)
            for n in range(have, steps[number])
        ]
        journal.start_flows("bench", new)
        wait(number)

    def wait(number: int) -> None:
        resting = sum(runner.is_resting for runner in engine.running.values())
        if resting < steps[number]:
            reactor.callLater(0.2, wait, number)
            return
        gc.collect()
        seen.append((steps[number], private()))
        if number + 1 < len(steps):
            step(number + 1)
        else:
            engine.stop().addBoth(lambda _: reactor.stop())

    def begin() -> None:
        engine.start()
        step(0)

    reactor.callWhenRunning(begin)
    reactor.run()
    journal.close()
    return slope(seen)


def slope(seen: list[tuple[int, float]]) -> Figures:
    """How many kB each costs, from the first step to the last."""
    (low, first), (high, last) = seen[0], seen[-1]
    return {"kb": (last - first) / (high - low), "seen": seen}


def compare(bench: Bench) -> Outcome:
    """The peer's wormholes, ours, and our flows."""

    def on_a_server(run: Any, **more: Any) -> Figures:
        with folder() as quick, MailboxServer(quick) as server:
            given = {name: value(quick) for name, value in more.items()}
            figures: Figures = run(url=server.url, steps=STEPS, **given)
            return figures

    found = bench.rounds(
        1,
        {
            "magic-wormhole": lambda: on_a_server(
                lambda **given: bench.peer("wormhole", "wormhole_memory.py", **given)
            ),
            "Holdfast": lambda: on_a_server(lambda **given: bench.ours("memory", **given)),
            "Holdfast, flows": lambda: on_a_server(
                lambda **given: bench.ours("memory", **given),
                database=lambda place: f"sqlite:///{place}/h.db",
            ),
        },
    )
    peer, ours, flow = (sample(each, "kb", "kB") for each in found.values())
    picture = Plot(
        "memory",
        "Memory of a process with so many waiting wormholes",
        "waiting, connected",
        "MB",
        {name: [(x, y / 1000) for x, y in each[0]["seen"]] for name, each in found.items()},
    )
    what = "memory of a waiting wormhole, connected"
    return Outcome(
        [
            Row(what, peer, ours, at_most=12, then=36),
            Row("memory of a waiting flow in the engine, connected", peer, flow),
        ],
        [picture],
    )


if __name__ == "__main__":
    program(measure)
