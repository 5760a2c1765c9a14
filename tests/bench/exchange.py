"""Client CPU of one exchange, both ends: a code allocated and entered, 1 kB each way, both closed.

Fair, because both libraries run the same lines (`talk`, which the peer's program has too) in
Deferred mode, against the same stock mailbox server on loopback, whose CPU is not counted; each has
both ends in one process, which does nothing else, and has made some exchanges before the clock
starts.  With the journal the same story is told to delegates, and what it costs to start each
side's flow in the (open) database counts too; SQLite, `synchronous=FULL`, on a real disk.
CPU is that of the whole process, the journal's thread included.
"""

import time
from pathlib import Path
from statistics import median
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults, inlineCallbacks

from tests.bench.measuring import Bench, Figures, Outcome, Plot, Row, folder, program, sample
from tests.harness.server import MailboxServer

APPID = "example.com/bench"
KILOBYTE = b"\x5a" * 1000
AT_ONCE = (1, 10, 40)
USUAL = 10


@inlineCallbacks
def talk(create: Any, url: str, reactor: Any) -> Any:
    """One exchange, as a user of either library writes it."""
    ann, bob = create(APPID, url, reactor), create(APPID, url, reactor)
    ann.allocate_code(2)
    code = yield ann.get_code()
    bob.set_code(code)
    ann.send_message(KILOBYTE)
    bob.send_message(KILOBYTE)
    got = yield gatherResults([ann.get_message(), bob.get_message()])
    assert got == [KILOBYTE, KILOBYTE]
    yield gatherResults([ann.close(), bob.close()])


@define(eq=False)
class Side:
    """A delegate that tells the same story: sends, hears, and closes."""

    code: Deferred[str] = field(factory=Deferred)
    heard: Deferred[None] = field(factory=Deferred)
    closed: Deferred[object] = field(factory=Deferred)
    wormhole: Any = None

    def wormhole_got_code(self, code: str) -> None:
        self.code.callback(code)

    def wormhole_got_message(self, message: bytes) -> None:
        assert message == KILOBYTE
        self.heard.callback(None)

    def wormhole_closed(self, result: object) -> None:
        assert result == "happy", result
        self.closed.callback(None)


class Journalled:
    """Exchanges whose two sides are flows of a journal."""

    def __init__(self, path: Path, reactor: Any) -> None:
        from holdfast_journal import SqlJournal

        self._journal = SqlJournal.open(f"sqlite:///{path}", reactor=reactor)

    def start(self, batch: str, count: int) -> None:
        """Start the flows of so many exchanges."""
        from holdfast_journal import NewFlow

        new = [NewFlow(f"side {n}", "side", b"{}") for n in range(2 * count)]
        self._journal.start_flows(batch, new, own=True)
        self._taken = self._journal.take()

    @inlineCallbacks
    def talk(self, create: Any, url: str, reactor: Any) -> Any:
        """One exchange."""
        ann, bob = self._side(create, url, reactor), self._side(create, url, reactor)
        ann.wormhole.allocate_code(2)
        code = yield ann.code
        bob.wormhole.set_code(code)
        for side in (ann, bob):
            side.wormhole.send_message(KILOBYTE)
        yield gatherResults([ann.heard, bob.heard])
        for side in (ann, bob):
            side.wormhole.close()
        yield gatherResults([ann.closed, bob.closed])

    def _side(self, create: Any, url: str, reactor: Any) -> Side:
        import json

        from holdfast_journal import Snapshot

        journal = self._taken.pop().journal
        side = Side()

        def snapshot() -> Snapshot:
            document = side.wormhole.serialize()
            ended = side.wormhole.exchange.ended
            return Snapshot(
                "done" if ended else "running", json.dumps(document).encode(), {}, ended, ended
            )

        journal.attach(snapshot)
        side.wormhole = create(APPID, url, reactor, delegate=side, journal=journal)
        return side

    def stop(self) -> Any:
        """Finish writing."""
        return self._journal.stop()


def measure(url: str, count: int, at_once: int, database: str | None = None) -> Figures:
    """CPU milliseconds for each exchange."""
    from twisted.internet import reactor

    from holdfast import create

    figures: dict[str, float] = {}

    @inlineCallbacks
    def story() -> Any:
        journal = None if database is None else Journalled(Path(database), reactor)
        one = talk if journal is None else journal.talk
        if journal is not None:
            journal.start("warm", 1)
        yield one(create, url, reactor)
        begun, clock = time.process_time(), time.monotonic()
        if journal is not None:
            journal.start("bench", count)
        turns = DeferredSemaphore(at_once)
        yield gatherResults([turns.run(one, create, url, reactor) for _ in range(count)])
        if journal is not None:
            yield journal.stop()
        figures["ms"] = (time.process_time() - begun) / count * 1000
        figures["per_second"] = count / (time.monotonic() - clock)

    run(reactor, story)
    return figures


def run(reactor: Any, story: Any) -> None:
    """Run a reactor until what `story` returns has fired; raise what it failed with."""
    failures: list[Any] = []

    def begin() -> None:
        done = story()
        done.addErrback(failures.append)
        done.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    if failures:
        failures[0].raiseException()


def compare(bench: Bench) -> Outcome:
    """The peer, ours, and ours with a journal; one at a time and several."""
    rows: list[Row] = []
    cpu: dict[str, list[tuple[float, float]]] = {}
    rate: dict[str, list[tuple[float, float]]] = {}
    with folder() as quick, folder(on_disk=True) as disk, MailboxServer(quick) as server:
        numbers = iter(range(1000))
        for at_once in AT_ONCE:
            given = {"url": server.url, "count": 40, "at_once": at_once}

            def journalled(given: dict[str, Any] = given) -> Figures:
                place = disk / f"{next(numbers)}"
                place.mkdir()
                return bench.ours("exchange", **given, database=str(place / "h.db"))

            found = bench.rounds(
                3 if at_once == USUAL else 1,
                {
                    "magic-wormhole": lambda given=given: bench.peer(
                        "wormhole", "wormhole_exchange.py", **given
                    ),
                    "Holdfast": lambda given=given: bench.ours("exchange", **given),
                    "Holdfast, journal": journalled,
                },
            )
            for name, figures in found.items():
                point = median(f["ms"] for f in figures), median(f["per_second"] for f in figures)
                cpu.setdefault(name, []).append((at_once, point[0]))
                rate.setdefault(name, []).append((at_once, point[1]))
            if at_once == USUAL:
                peer = sample(found["magic-wormhole"], "ms", "ms")
                plain = sample(found["Holdfast"], "ms", "ms")
                durable = sample(found["Holdfast, journal"], "ms", "ms")
                what = "client CPU of one exchange, both ends"
                rows = [
                    Row(f"{what}, no journal", peer, plain, at_most=3, then=35),
                    Row(f"{what}, `SqlJournal` on SQLite", peer, durable, at_most=4, then=35),
                ]
    return Outcome(
        rows,
        [
            Plot(
                "exchange-cpu",
                "CPU of one exchange, both ends",
                "exchanges at once",
                "CPU ms",
                cpu,
            ),
            Plot(
                "exchange-rate",
                "Exchanges a second, the mailbox server on the same machine",
                "exchanges at once",
                "exchanges/s",
                rate,
            ),
        ],
    )


if __name__ == "__main__":
    program(measure)
