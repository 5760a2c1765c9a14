"""A dilated wormhole: CPU for a gigabyte at each end, throughput, memory, and idle subchannels.

Fair, because both libraries run the same lines (`peers/dilation_end.py`), each end in a process of
its own, with one subchannel over one direct connection on loopback and a stock mailbox server; what
it takes to meet is not counted.  The sender is a push producer, the receiver counts records.  With
the journal, the sender's records are a file's, the receiver writes a file and waits for the disk
before each commit; SQLite, `synchronous=FULL`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from attrs import define, evolve

from tests.bench import dilation_floor
from tests.bench.measuring import (
    HERE,
    Bench,
    Command,
    Figures,
    Outcome,
    Row,
    Sample,
    folder,
    sample,
)
from tests.bench.transfer import make_file
from tests.harness.server import MailboxServer

ROUNDS = 3
SIZE = 300_000_000
RECORDS = {"16 kB": 16_384, "65 kB": 65_510}
"""The larger is the longest that is one message of the cipher."""
IDLE = 1000
RATE, CPU = {"16 kB": 4.0, "65 kB": 1.7}, {"16 kB": 1 / 3, "65 kB": 0.55}
"""The goals: of the stock library's throughput, and of its CPU."""
STORED = 0.5
"""With the journal: of our own throughput without."""
LATE = 20.0
OF_A_CHANNEL = 2000

ROLES = (("send", "sender", "to stock"), ("receive", "receiver", "from stock"))
"""Of an end: its name, who that is, and where it meets a stock one."""


@define
class Ground:
    """Where both ends of a run meet."""

    bench: Bench
    url: str
    disk: Path
    _runs: int = 0

    def end(self, library: str) -> Command:
        """The program of an end with this library."""
        if library == "wormhole":
            return self.bench.script("wormhole", "dilation_end.py")
        return [sys.executable, HERE / "peers" / "dilation_end.py"]

    def code(self) -> str:
        """One that no other run has."""
        self._runs += 1
        return f"{self._runs}-dilation-bench"

    def bulk(self, sender: str, receiver: str, record: int) -> Figures:
        """Many bytes, from one library to another."""
        code = self.code()
        shared = {"url": self.url, "code": code, "size": SIZE, "record": record}
        ends = (sender, "send"), (receiver, "receive")
        return _of_both(
            self.bench.together(
                *(
                    (self.end(library), {"library": library, "role": role, **shared})
                    for library, role in ends
                )
            )
        )

    def stored(self, record: int) -> Figures:
        """Many bytes, with a journal at both ends."""
        code = self.code()
        place = self.disk / code
        place.mkdir()
        (place / "file").symlink_to(self.disk / "file")
        shared = {"url": self.url, "code": code, "size": SIZE, "record": record}
        command = self.bench.module("dilation_journal")
        figures = self.bench.together(
            *((command, {"role": role, "place": str(place), **shared}) for role, _, _ in ROLES)
        )
        (place / "received").unlink()
        return _of_both(figures)

    def idle(self, library: str) -> Figures:
        """Many subchannels in which nothing happens."""
        shared = {"library": library, "url": self.url, "code": self.code(), "count": IDLE}
        opens, listens = self.bench.together(
            *((self.end(library), {"role": role, **shared}) for role in ("open", "listen"))
        )
        return {"opens": opens["bytes"], "listens": listens["bytes"]}


def _of_both(figures: Sequence[Figures]) -> Figures:
    found = {
        f"{role} {name}": value
        for (role, _, _), each in zip(ROLES, figures, strict=True)
        for name, value in each.items()
    }
    return {**found, "rate": figures[0]["rate"], "cpu": sum(each["cpu"] for each in figures)}


def compare(bench: Bench) -> Outcome:
    """The stock library, ours, one with the other, and ours with a journal."""
    with folder(on_disk=True) as disk, MailboxServer(disk) as server:
        make_file(disk / "file", SIZE)
        here = Ground(bench, server.url, disk)
        contestants: dict[str, Callable[[], Figures]] = {}
        for size, record in RECORDS.items():
            pairs = {"stock": ("wormhole", "wormhole"), "ours": ("holdfast", "holdfast")}
            pairs |= {"to stock": ("holdfast", "wormhole"), "from stock": ("wormhole", "holdfast")}
            for name, pair in pairs.items():
                contestants[f"{name}, {size}"] = partial(here.bulk, *pair, record)
            contestants[f"journal, {size}"] = partial(here.stored, record)
            contestants[f"floor, {size}"] = partial(bench.ours, "dilation_floor", record=record)
        found = bench.rounds(ROUNDS, contestants)
        idle = bench.rounds(
            ROUNDS,
            {"stock": partial(here.idle, "wormhole"), "ours": partial(here.idle, "holdfast")},
        )
    rows = [row for size in RECORDS for row in _bulk(found, size)]
    notes = [
        dilation_floor.sentence(_median(found[f"floor, {size}"]), record)
        for size, record in RECORDS.items()
    ]
    return Outcome([*rows, *_idle(idle)], notes=notes)


def _bulk(found: Mapping[str, Sequence[Figures]], size: str) -> Iterator[Row]:
    def row(what: str, name: str, figure: str, unit: str, than: str = "stock") -> Row:
        """Ours beside the stock library."""
        peer, ours = (sample(found[f"{each}, {size}"], figure, unit) for each in (than, name))
        shown = f", {name}" if than == "stock" and name != "ours" else ""
        return Row(f"dilated, records of {size}: {what}{shown}", peer, ours)

    def rate(name: str, than: str = "stock", what: str = "throughput") -> Row:
        return evolve(row(what, name, "rate", "MB/s", than), more_is_better=True)

    def at_least(times: float, row: Row) -> Row:
        return evolve(row, at_least=times * _sample(row.peer).median)

    yield at_least(RATE[size], rate("ours"))
    yield rate("to stock")
    yield rate("from stock")
    yield rate("journal")
    yield at_least(STORED, rate("journal", "ours", "throughput, a journal beside none"))
    cpu = row("CPU of both ends", "ours", "cpu", "CPU s/GB")
    yield evolve(cpu, at_most=CPU[size] * _sample(cpu.peer).median)
    yield row("CPU of both ends", "journal", "cpu", "CPU s/GB")
    for role, who, mixed in ROLES:
        for name in ("ours", mixed, "journal"):
            yield row(f"CPU of the {who}", name, f"{role} cpu", "CPU s/GB")
        for name in ("ours", "journal"):
            yield row(f"memory of the {who}", name, f"{role} memory", "MB")
            what = f"how late the {who}'s reactor is"
            yield evolve(row(f"{what} at most", name, f"{role} late", "ms"), at_most=LATE)
            own = row(f"{what} at most by its own work", name, f"{role} late, own", "ms")
            yield evolve(own, at_most=LATE)
            yield row(f"{what} once in a hundred times", name, f"{role} late, p99", "ms")


def _idle(found: Mapping[str, Sequence[Figures]]) -> Iterator[Row]:
    for figure, who in (("opens", "who opened it"), ("listens", "the other side")):
        peer, ours = (sample(found[name], figure, "B") for name in ("stock", "ours"))
        yield Row(f"memory of an idle subchannel, {who}", peer, ours, at_most=OF_A_CHANNEL)


def _median(found: Sequence[Figures]) -> Figures:
    return {name: Sample([each[name] for each in found], "").median for name in found[0]}


def _sample(found: Sample | str) -> Sample:
    assert isinstance(found, Sample)
    return found
