"""A worker process whose flows do nothing but count: each event is a row and an effect.

    python chaos_worker.py URL KEY TRACE LEASE EVENTS

Each effect appends a line to TRACE: flow, epoch, number of the event, worker. A process that is
killed or paused anywhere leaves lines that are whole.
"""

import json
import os
import sys
import traceback
from typing import Any, NoReturn

from sqlalchemy import text
from twisted.internet import reactor, task, threads

from holdfast_journal import KeyRing, Snapshot, SqlJournal, TakenFlow
from holdfast_journal.errors import DatabaseAway, Fenced

TOGETHER = 40
"""Flows that have an event in one turn of the reactor."""

APPLIED = text("INSERT INTO applied (flow, number) VALUES (:flow, :number)")


class Worker:
    """Takes flows and lets them count."""

    def __init__(self, journal: SqlJournal, trace: int, events: int) -> None:
        self.journal = journal
        self.trace = trace
        self.events = events
        self.running: dict[int, Flow] = {}

    def begin(self) -> None:
        self.journal.serve(["test"])
        self.look()
        task.LoopingCall(self.work).start(0.01).addErrback(failed)

    def look(self) -> None:
        threads.deferToThread(self._take).addCallback(self._took).addErrback(failed)

    def _take(self) -> list[TakenFlow]:
        try:
            self.journal.requests()
            return list(self.journal.take(limit=100))
        except DatabaseAway:  # the server ended our transaction: we were paused in it
            return []

    def _took(self, taken: list[TakenFlow]) -> None:
        for each in taken:
            flow = Flow(self, each)
            if not each.journal.is_lost:  # while this thread was paused
                self.running[each.id] = flow
        reactor.callLater(0.05, self.look)

    def work(self) -> None:
        # The newest first: those that were taken from others, who may come back.
        for flow in tuple(self.running.values())[-TOGETHER:]:
            try:
                flow.event()
            except Fenced as error:  # another thread knows already, and has told nobody yet
                flow.lost(error)


class Flow:
    """Counts its events; the last one ends it."""

    def __init__(self, worker: Worker, taken: TakenFlow) -> None:
        self.worker = worker
        self.taken = taken
        self.count = int(taken.checkpoint or 0)
        taken.journal.attach(self.snapshot)
        taken.journal.when_lost = self.lost

    def snapshot(self) -> Snapshot:
        finished = self.count == self.worker.events
        return Snapshot("done" if finished else "busy", str(self.count).encode(), {}, finished)

    def lost(self, error: Exception) -> None:
        self.worker.running.pop(self.taken.id, None)

    def event(self) -> None:
        journal = self.taken.journal
        self.count += 1
        number = self.count
        if number == self.worker.events:
            self.worker.running.pop(self.taken.id)
        with journal.process():
            journal.record("event", heard=f"event {number}", said=(), event=b"")
            journal.execute(APPLIED, {"flow": self.taken.name, "number": number})
            journal.queue_outbound(self.released, number)

    def released(self, number: int) -> None:
        line = [self.taken.name, self.taken.epoch, number, os.getpid()]
        os.write(self.worker.trace, json.dumps(line).encode() + b"\n")


def failed(failure: Any) -> NoReturn:
    print(failure if isinstance(failure, str) else failure.getTraceback(), file=sys.stderr)
    os._exit(1)


def main(url: str, key: str, trace: str, lease: str, events: str) -> None:
    def begin() -> None:
        try:
            journal = SqlJournal.open(
                url,
                keys=KeyRing.parse(key, "test"),
                reactor=reactor,
                lease=float(lease),
                on_fatal=lambda error: failed(str(error)),
            )
            Worker(journal, os.open(trace, os.O_WRONLY | os.O_APPEND), int(events)).begin()
        except Exception:  # noqa: BLE001  whatever it is, the test shall see it
            failed(traceback.format_exc())

    reactor.callWhenRunning(begin)
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
