"""Durable journal entries a second, of 1,000 flows, and how late the reactor is meanwhile.

Each flow has its next event as soon as the last one is durable and released, so 1,000 are always
under way.  An event leaves an entry (an event of 300 bytes) and the flow's new state (1,700 bytes,
as a waiting flow has).  All on SQLite with WAL and `synchronous=FULL`, in turns:

- the peer is what one writes first: SQLAlchemy Core, one commit an event, in the reactor's thread;
  it seals nothing;
- ours is `SqlJournal` as `holdfast run` uses it: sealed, fenced, committed by the writer's thread;
- the raw limit is the `sqlite3` module alone: no reactor, no flows, rows of entries made before the
  clock starts, 100 in a commit; and the same with each flow's state written too, as ours does.

The garbage collector looks as seldom as in `holdfast run`, at the peer too.

The reactor's lateness is that of a timer every 5 ms.  Measured in a file system in memory, where
fsync costs nothing, which shows what the code costs; and again on the disk, which others may be
using too.  Fair to read: it says what a journal does, and nothing of the wormholes that use it.
"""

import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import quantiles
from typing import Any

from attrs import define, field

from holdfast.operating.garbage import collect_seldom
from tests.bench.measuring import (
    Bench,
    Figures,
    Outcome,
    Plot,
    Row,
    folder,
    program,
    sample,
)

FLOWS = 1000
EVENT = bytes(300)
STATE = bytes(1700)
OFFERED = (1000, 3000, 10000, 20000, 30000)

SCHEMA = """
CREATE TABLE flows (id INTEGER PRIMARY KEY, seq INTEGER, status TEXT, checkpoint BLOB);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY, flow_id INTEGER, seq INTEGER, at FLOAT, worker INTEGER,
    kind TEXT, heard TEXT, said TEXT, event BLOB, UNIQUE (flow_id, seq)
);
"""
INSERT = (
    "INSERT INTO entries (flow_id, seq, at, worker, kind, heard, said, event)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
UPDATE = "UPDATE flows SET seq = ?, status = ?, checkpoint = ? WHERE id = ?"
WORDS = ("message", "peer: message 1 (12 bytes)", '["server: add 1"]')


@define
class Lateness:
    """How late a timer is that is due every 5 ms."""

    reactor: Any
    _seen: list[float] = field(factory=list)
    _due: float = 0.0

    def start(self) -> None:
        self._due = time.monotonic() + 0.005
        self.reactor.callLater(0.005, self._again)

    def _again(self) -> None:
        self._seen.append(time.monotonic() - self._due)
        self.start()

    @property
    def p99(self) -> float:
        """Milliseconds; what is overdue counts too."""
        seen = [*self._seen, max(0.0, time.monotonic() - self._due)]
        return quantiles(seen, n=100, method="inclusive")[98] * 1000


Tell = Callable[[int], object]


class Ours:
    """`SqlJournal`, each flow with a snapshot."""

    def __init__(self, path: Path, reactor: Any) -> None:
        from holdfast_journal import NewFlow, Snapshot, SqlJournal

        collect_seldom()  # before there are flows, as a worker does
        self._journal = SqlJournal.open(f"sqlite:///{path}", reactor=reactor)
        new = [NewFlow(f"flow {n}", "bench", b"{}") for n in range(FLOWS)]
        self._journal.start_flows("bench", new, own=True)
        self._flows = [taken.journal for taken in self._journal.take()]
        snapshot = Snapshot("waiting", STATE, {"code": "4-purple-sausages"}, False, False)
        for flow in self._flows:
            flow.attach(lambda: snapshot)

    def event(self, number: int, tell: Tell) -> None:
        flow = self._flows[number]
        with flow.process():
            kind, heard, _ = WORDS
            flow.record(kind, heard=heard, said=("server: add 1",), event=EVENT)
            flow.queue_outbound(tell, number)

    def stop(self) -> Any:
        return self._journal.stop()


class Inline:
    """One commit an event, in the reactor's thread."""

    def __init__(self, path: Path, reactor: Any) -> None:
        from sqlalchemy import (
            Column,
            Float,
            Integer,
            LargeBinary,
            MetaData,
            Table,
            Text,
            create_engine,
            event,
        )

        collect_seldom()
        engine = create_engine(f"sqlite:///{path}")

        @event.listens_for(engine, "connect")
        def settings(connection: Any, _: Any) -> None:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(SCHEMA)

        meta = MetaData()
        blob, words = LargeBinary, Text
        self._entries = Table(
            "entries",
            meta,
            Column("id", Integer, primary_key=True),
            *(Column(name, Integer) for name in ("flow_id", "seq", "worker")),
            Column("at", Float),
            *(Column(name, words) for name in ("kind", "heard", "said")),
            Column("event", blob),
        )
        self._flows = Table(
            "flows",
            meta,
            Column("id", Integer, primary_key=True),
            Column("seq", Integer),
            Column("status", words),
            Column("checkpoint", blob),
        )
        self._connection = engine.connect()
        self._connection.execute(
            self._flows.insert(),
            [{"id": n, "seq": 0, "status": "", "checkpoint": STATE} for n in range(FLOWS)],
        )
        self._connection.commit()
        self._seqs = [0] * FLOWS
        self._reactor = reactor

    def event(self, number: int, tell: Tell) -> None:
        seq = self._seqs[number] = self._seqs[number] + 1
        kind, heard, said = WORDS
        flows, entries = self._flows, self._entries
        self._connection.execute(
            entries.insert().values(
                flow_id=number,
                seq=seq,
                at=time.time(),
                worker=1,
                kind=kind,
                heard=heard,
                said=said,
                event=EVENT,
            )
        )
        self._connection.execute(
            flows.update()
            .where(flows.c.id == number)
            .values(seq=seq, status="waiting", checkpoint=STATE)
        )
        self._connection.commit()
        self._reactor.callLater(0, tell, number)

    def stop(self) -> None:
        self._connection.close()


def measure(what: str, path: str, seconds: float, offered: int = 0) -> Figures:
    """Entries a second, and CPU microseconds for each."""
    if what.startswith("raw"):
        return raw(Path(path), seconds, with_state=what == "raw, with state")
    from twisted.internet import reactor

    subject = (Ours if what == "ours" else Inline)(Path(path), reactor)
    late = Lateness(reactor)
    told = 0
    under_way = 0
    figures: dict[str, float] = {}

    def again(number: int) -> None:
        nonlocal told
        told += 1
        subject.event(number, again)

    def done(_: int) -> None:
        nonlocal told, under_way
        told += 1
        under_way -= 1

    def offer(began: float, sent: int) -> None:
        nonlocal under_way
        wanted = int((time.monotonic() - began) * offered)
        # Whoever takes events in stops when too many wait.
        for number in range(sent, min(wanted, sent + 2000 - under_way)):
            under_way += 1
            subject.event(number % FLOWS, done)
            sent = number + 1
        reactor.callLater(0.002, offer, began, sent)

    def begin() -> None:
        if offered:
            offer(time.monotonic(), 0)
        else:
            for number in range(FLOWS):
                reactor.callLater(0, subject.event, number, again)
        # The first events are not counted: everything is new then.
        reactor.callLater(0.3, count)

    def count() -> None:
        late.start()
        reactor.callLater(seconds, end, told, time.monotonic(), time.process_time())

    def end(first: int, began: float, cpu: float) -> None:
        figures["per_second"] = (told - first) / (time.monotonic() - began)
        figures["cpu_us"] = (time.process_time() - cpu) / max(1, told - first) * 1e6
        figures["late_ms"] = late.p99
        reactor.stop()

    reactor.callWhenRunning(begin)
    reactor.run()
    return figures


def raw(path: Path, seconds: float, with_state: bool) -> Figures:
    """The module alone."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.executescript(SCHEMA)
    connection.executemany(
        "INSERT INTO flows VALUES (?, 0, 'waiting', ?)", [(n, STATE) for n in range(FLOWS)]
    )
    batches = [
        [(n, seq, 0.0, 1, *WORDS, EVENT) for n in range(start, start + 100)]
        for seq in range(1000)
        for start in range(0, FLOWS, 100)
    ]
    written = 0
    began, cpu = time.monotonic(), time.process_time()
    for batch in batches:
        connection.execute("BEGIN IMMEDIATE")
        if with_state:
            states = [(row[1], "waiting", STATE, row[0]) for row in batch]
            connection.executemany(UPDATE, states)
        connection.executemany(INSERT, batch)
        connection.execute("COMMIT")
        written += len(batch)
        if time.monotonic() - began >= seconds:
            break
    return {
        "per_second": written / (time.monotonic() - began),
        "cpu_us": (time.process_time() - cpu) / written * 1e6,
    }


def compare(bench: Bench) -> Outcome:
    """All four in turns, in memory and on the disk; then two of them under growing load."""
    with folder() as quick, folder(on_disk=True) as disk:
        numbers = iter(range(1000))

        def run(what: str, where: Path, seconds: float, offered: int = 0) -> Figures:
            path = str(where / f"{next(numbers)}.db")
            return bench.ours("entries", what=what, path=path, seconds=seconds, offered=offered)

        def rounds(where: Path, *names: str) -> Mapping[str, list[Figures]]:
            return bench.rounds(3, {n: lambda n=n: run(n, where, 2) for n in names})

        memory = rounds(quick, "inline", "ours", "raw", "raw, with state")
        slow = rounds(disk, "ours", "raw")
        load = {
            what: [(rate, run(what, quick, 1, rate)) for rate in OFFERED]
            for what in ("inline", "ours")
        }
    names = {"inline": "a commit an event", "ours": "Holdfast"}

    def series(figure: str) -> dict[str, list[tuple[float, float]]]:
        return {
            names[what]: [(rate, figures[figure]) for rate, figures in line]
            for what, line in load.items()
        }

    return Outcome(
        [*_cost(memory), *_rows(memory, "in memory"), *_rows(slow, "on the disk")],
        [
            Plot(
                "entries-rate",
                "Durable entries a second, 1,000 flows, in memory",
                "offered, entries/s",
                "durable, entries/s",
                series("per_second"),
            ),
            Plot(
                "entries-lateness",
                "How late the reactor is, p99",
                "offered, entries/s",
                "ms",
                series("late_ms"),
                log_y=True,
            ),
        ],
    )


def _cost(found: Mapping[str, list[Figures]]) -> list[Row]:
    inline, ours, limit, floor = (sample(figures, "cpu_us", "µs") for figures in found.values())
    what = "CPU of a durable journal entry, sealed, in memory"
    return [
        # What 30,000 a second leave for one.
        Row(f"{what}; peer: a commit an event", inline, ours, at_most=33.3),
        Row(f"{what}; peer: the raw limit", limit, ours),
        Row(f"{what}; peer: the raw limit with the flows' state", floor, ours),
    ]


def _rows(found: Mapping[str, list[Figures]], where: str) -> list[Row]:
    rates = {name: sample(figures, "per_second", "entries/s") for name, figures in found.items()}
    late = {
        name: sample(found[name], "late_ms", "ms") for name in found if "late_ms" in found[name][0]
    }
    what = f"durable journal entries, 1,000 flows, sealed, {where}"
    if "inline" in rates:
        peers = rates["inline"], late["inline"]
        what_peer = "; peer: a commit an event"
    else:
        peers = ("–", "–")
        what_peer = ""
    return [
        Row(
            what + what_peer,
            peers[0],
            rates["ours"],
            at_least=30000,
            more_is_better=True,
            then=1600,
        ),
        Row(
            "the reactor's lateness meanwhile, p99",
            peers[1],
            late["ours"],
            at_most=10,
            then=845,
        ),
        Row(
            f"{what}; peer: the raw limit (`sqlite3`, 100 entries a commit)",
            rates["raw"],
            rates["ours"],
            at_least=rates["raw"].median / 4,
            more_is_better=True,
        ),
    ]


if __name__ == "__main__":
    program(measure)
