"""How long it takes after kill -9 until all flows that waited are loaded and being reconnected.

Ours: flows that wait for their peers, in a database whose owner was killed with SIGKILL; the clock
runs from the start of a new process until every flow is in its engine, decoded, verified and
unsealed, and its connection asked for.  The stock mailbox server that they return to shares the
machine, and so does the reconnecting itself, which goes on meanwhile.
The peer, DBOS Transact: workflows of five steps, killed after two of them; the clock runs from the
start of a new process until all are done.  It has far fewer, since it takes so long.
Not the same, and as near as it gets: each does what it is made for when its process is back.
SQLite, on the disk.
"""

import time
from pathlib import Path
from typing import Any

from tests.bench.measuring import Bench, Figures, Outcome, Plot, Row, Sample, folder, program
from tests.harness.server import MailboxServer

FLOWS = (1000, 3000, 10000)
WORKFLOWS = 300


def measure(database: str, count: int, started: float) -> Figures:
    """Seconds until all are loaded, and until the first hundred are connected."""
    from twisted.internet import reactor

    import holdfast.flows.shipped.provision  # noqa: F401 - registers the flows
    from holdfast.flows.engine.engine import Engine
    from holdfast.operating.limits import raise_open_files_limit
    from holdfast_journal import SqlJournal

    raise_open_files_limit()
    journal = SqlJournal.open(database, reactor=reactor)
    engine = Engine(journal, reactor, connections=count)
    figures: dict[str, float] = {}

    def look() -> None:
        if len(engine.running) < count:
            reactor.callLater(0.02, look)
            return
        figures["seconds"] = time.time() - started
        figures["cpu"] = time.process_time()
        runners = engine.running.values()
        figures["connected"] = sum(runner.wormhole.is_connected for runner in runners)
        reactor.stop()

    def begin() -> None:
        engine.start()
        look()

    reactor.callWhenRunning(begin)
    reactor.run()
    return figures


def compare(bench: Bench) -> Outcome:
    """Ours with several numbers of flows, the peer with one."""
    line: list[tuple[float, float]] = []
    ours: Figures = {}
    with folder(on_disk=True) as disk:
        for count in FLOWS:
            place = disk / str(count)
            place.mkdir()
            ours = bench.rounds(1, {f"{count} flows": lambda c=count, p=place: _ours(bench, c, p)})[
                f"{count} flows"
            ][0]
            line.append((count, ours["seconds"]))
        theirs = bench.rounds(1, {"DBOS": lambda: _theirs(bench, disk)})["DBOS"][0]
    what = f"flows resumed a second after kill -9, {FLOWS[-1]:,} (peer: {WORKFLOWS:,} workflows)"
    return Outcome(
        [
            Row(
                "CPU of resuming a flow (peer: a workflow of 5 steps, killed after 2)",
                Sample([theirs["cpu"] / WORKFLOWS * 1000], "ms"),
                Sample([ours["cpu"] / FLOWS[-1] * 1000], "ms"),
                # What 3 s leave for each of 10,000.
                at_most=0.3,
            ),
            Row(
                what,
                Sample([WORKFLOWS / theirs["seconds"]], "flows/s"),
                Sample([FLOWS[-1] / ours["seconds"]], "flows/s"),
                # All in 3 s.
                at_least=FLOWS[-1] / 3,
                more_is_better=True,
                then=54,
            ),
        ],
        [Plot("resume", "Resuming after kill -9", "flows", "seconds", {"Holdfast": line})],
    )


def _ours(bench: Bench, count: int, place: Path) -> Figures:
    database = f"sqlite:///{place}/h.db"
    # The server reads its tables at its start; its port is known before.
    server = MailboxServer(place)
    given: dict[str, Any] = {"database": database, "server": str(server.database)}
    bench.killed(bench.module("waiting_flows"), **given, relay=server.url, count=count)
    with server:
        return bench.ours("resume", database=database, count=count, started=time.time())


def _theirs(bench: Bench, place: Path) -> Figures:
    url, gate = f"sqlite:///{place}/dbos.db", place / "gate"
    gate.touch()
    given: dict[str, Any] = {"url": url, "count": WORKFLOWS, "gate": str(gate)}
    bench.killed(bench.script("dbos", "dbos_resume.py"), **given, started=0.0)
    gate.unlink()
    return bench.peer("dbos", "dbos_resume.py", **given, started=time.time())


if __name__ == "__main__":
    program(measure)
