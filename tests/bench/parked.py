"""Memory of a parked flow in the process that looks after it.

Two processes with the same 50 connections, one with 1,000 waiting flows and one with 5,000, are
asked after some seconds, in which they have parked some flows and visited others, how much memory
is their own; the difference is that of 4,000 parked flows.  There is no peer: nothing else parks.
The flows are real ones, copied (`waiting_flows.py`), on a stock mailbox server that knows them all.
"""

from typing import Any

from tests.bench.measuring import Bench, Figures, Outcome, Row, folder, program, sample
from tests.bench.memory import private
from tests.harness.server import MailboxServer

FEW, MANY = 1000, 5000
CONNECTIONS = 50
SECONDS = 8.0


def measure(database: str) -> Figures:
    """The memory of the process, in kB."""
    import gc

    from twisted.internet import reactor

    import holdfast.flows.shipped.provision  # noqa: F401 - registers the flows
    from holdfast.flows.engine.engine import Engine
    from holdfast_journal import SqlJournal

    journal = SqlJournal.open(database, reactor=reactor)
    engine = Engine(journal, reactor, connections=CONNECTIONS)
    figures: dict[str, float] = {}

    def look() -> None:
        gc.collect()
        figures["kb"] = private()
        figures["running"] = len(engine.running)
        engine.stop().addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(engine.start)
    reactor.callLater(SECONDS, look)
    reactor.run()
    journal.close()
    return figures


def compare(bench: Bench) -> Outcome:
    """The difference between few and many."""

    def with_flows(count: int) -> Figures:
        with folder() as place:
            server = MailboxServer(place)
            given: dict[str, Any] = {"server": str(server.database), "relay": server.url}
            database = f"sqlite:///{place}/h.db"
            made = bench.module("waiting_flows")
            bench.killed(made, database=database, count=count, **given)
            with server:
                return bench.ours("parked", database=database)

    found = bench.rounds(2, {str(count): lambda c=count: with_flows(c) for count in (FEW, MANY)})
    differences = [
        {"kb": max(0.0, many["kb"] - few["kb"]) / (MANY - FEW)}
        for few, many in zip(found[str(FEW)], found[str(MANY)], strict=True)
    ]
    ours = sample(differences, "kb", "kB")
    return Outcome([Row("memory of a parked flow", "does not park", ours, at_most=1)])


if __name__ == "__main__":
    program(measure)
