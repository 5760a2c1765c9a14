"""What it costs to keep people waiting whom a mailbox server watches, and to answer those who come.

A real `holdfast run` on SQLite and a real `holdfast mailbox`, both with their files on a disk, and
recipients on raw sockets (`recipients`) share the machine. Memory and CPU are what the system says
of each process. The flows are real ones, copied (`watched_flows`). There is no peer: nothing else
keeps what waits anywhere but in a process. Only beside the CPU while nobody comes stands that of a
Python program which wakes twice a second and does next to nothing (`SLEEPER`): on some virtual
machines the host takes the memory away from whoever sleeps, and to get it back costs more than
whatever is done then.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import define, field, frozen

from tests.bench.mailbox import APPID, allocation
from tests.bench.measuring import Bench, Figures, Outcome, Row, Sample, folder, sample
from tests.bench.recipients import Collected, collect, collect_all
from tests.bench.usage import Usage, usage
from tests.bench.watched_flows import Waiting
from tests.harness.peers import StockReceivers
from tests.harness.process import Child, Holdfast
from tests.harness.server import MailboxServer
from tests.harness.talker import connected

COUNT = 2000
"""Of the short benchmark."""
PER_SECOND = 20
MEANWHILE = 20
"""How many come while there is no worker."""
STOCK = 5
"""How many of the last ones are stock clients."""
ALLOCATIONS = 50
SLEEPER = "import time\nwhile True:\n    time.sleep(0.5)\n    {n: str(n) for n in range(300)}"
"""About 0.05 ms of work, where nobody else wants the processor or its caches."""


@frozen
class Lengths:
    """How long is measured, in seconds."""

    idle: float
    comes: float


@define(eq=False)
class Story:
    """A worker and a server, and those who wait."""

    server: MailboxServer
    holdfast: Holdfast
    waiting: Iterator[Waiting]
    worker: Child = field(init=False)

    def tell(self, lengths: Lengths) -> dict[str, float]:
        """Measure all."""
        found = {"start_s": self._starts()}
        found |= self._idles(lengths.idle)
        found |= self._answers(round(lengths.comes * PER_SECOND))
        found |= self._allocates()
        found |= self._dies()
        found |= self._server_dies()
        found["megabytes_after"] = usage(self.worker.pid).memory
        found["server_megabytes_after"] = usage(self.server.pid).memory
        self._stock()
        return found

    def _starts(self) -> float:
        """Seconds until the first is answered."""
        begun = time.monotonic()
        self.worker = self.holdfast.start("run", fresh=True)
        self._collected([self._next()])
        return time.monotonic() - begun

    def _idles(self, seconds: float) -> dict[str, float]:
        sleeper = subprocess.Popen([sys.executable, "-c", SLEEPER])
        try:
            time.sleep(15)  # until nothing of those who came is left
            before, at_server = usage(self.worker.pid), usage(self.server.pid)
            asleep = usage(sleeper.pid)
            time.sleep(seconds)
            after = usage(self.worker.pid)
            slept = usage(sleeper.pid).cpu - asleep.cpu
        finally:
            sleeper.kill()
            sleeper.wait()
        return {
            "sleeper_percent": slept / seconds * 100,
            "megabytes": after.memory,
            "server_megabytes": at_server.memory,
            "idle_percent": (after.cpu - before.cpu) / seconds * 100,
            "server_idle_percent": (usage(self.server.pid).cpu - at_server.cpu) / seconds * 100,
        }

    def _answers(self, count: int) -> dict[str, float]:
        codes = [self._next() for _ in range(count)]
        before = self._used()
        found = asyncio.run(collect_all(self.server.url, codes, PER_SECOND))
        used = [
            (new.cpu - old.cpu) / count * 1000
            for old, new in zip(before, self._used(), strict=True)
        ]
        return self._checked(found) | {"ms_each": used[0], "server_ms_each": used[1]}

    def _allocates(self) -> dict[str, float]:
        async def allocate() -> None:
            clients = [
                await connected(self.server.url, APPID, os.urandom(5).hex())
                for _ in range(ALLOCATIONS)
            ]
            before = usage(self.server.pid).cpu
            for client in clients:
                await allocation(client)
            spent.append(usage(self.server.pid).cpu - before)
            for client in clients:
                client.leave()

        spent: list[float] = []
        asyncio.run(allocate())
        return {"allocation_ms": spent[0] / ALLOCATIONS * 1000}

    def _dies(self) -> dict[str, float]:
        """Seconds from the start of the next worker until all who came meanwhile are answered."""

        async def meanwhile() -> float:
            began = [asyncio.Event() for _ in range(MEANWHILE)]
            coming = [
                asyncio.create_task(collect(self.server.url, self._next(), each)) for each in began
            ]
            for each in began:
                await each.wait()
            begun = time.monotonic()
            self.worker = self.holdfast.start("run", fresh=True)
            await asyncio.gather(*coming)
            return time.monotonic() - begun

        self.worker.kill9()
        self.worker.close()
        return {"ready_s": asyncio.run(meanwhile())}

    def _server_dies(self) -> dict[str, float]:
        """Seconds from the start of the next server until whoever comes then is answered."""
        self.server.kill9()
        begun = time.monotonic()
        self.server.start()
        self._collected([self._next()])
        return {"server_ready_s": time.monotonic() - begun}

    def _stock(self) -> None:
        """Stock clients get what is theirs, too."""
        with StockReceivers(self.server.url) as receivers:
            for number in range(STOCK):
                receivers.receive(self._next(), str(number))
            texts = {outcome.text for outcome in receivers.wait_all(timeout=120).values()}
        assert texts == {"s" * 32}, texts

    def _next(self) -> str:
        return next(self.waiting).code

    def _used(self) -> tuple[Usage, Usage]:
        return usage(self.worker.pid), usage(self.server.pid)

    def _collected(self, codes: list[str]) -> None:
        self._checked(asyncio.run(collect_all(self.server.url, codes, PER_SECOND)))

    def _checked(self, found: list[Collected]) -> dict[str, float]:
        assert {each.text for each in found} == {"s" * 32}
        seconds = sorted(each.answered for each in found)
        return {
            "median_ms": seconds[len(seconds) // 2] * 1000,
            "p99_ms": seconds[int(len(seconds) * 0.99)] * 1000,
            "slowest_ms": seconds[-1] * 1000,
        }


@contextmanager
def story(bench: Bench, count: int) -> Iterator[Story]:
    """So many who wait, on the disk."""
    with folder() as quick, folder(on_disk=True) as disk:
        server = MailboxServer(disk, keep="30d", fresh=True)
        filled = bench.ours(
            "watched_flows",
            database=f"sqlite:///{quick}/h.db",
            server=str(quick / server.database.name),
            relay=server.url,
            count=count,
        )
        for path in quick.iterdir():
            shutil.move(path, disk / path.name)
        home = Holdfast(disk / "home", server.url, str(disk / "h.db"), {"HOLDFAST_KEY": "5a" * 32})
        # Some from everywhere, as they come.
        waiting = (Waiting(n * 7919 % count, str(filled["words"])) for n in range(count))
        with server:
            told = Story(server, home, waiting)
            try:
                yield told
            finally:
                told.worker.close()


def compare(bench: Bench) -> Outcome:
    """With few of them, for a short time."""
    with story(bench, COUNT) as told:
        found: Figures = told.tell(Lengths(idle=20, comes=10))
    what = f"{COUNT:,} flows wait, watched"

    def row(name: str, unit: str, text: str, at_most: float, peer: str | Sample = "–") -> Row:
        return Row(f"{what}: {text}", peer, sample([found], name, unit), at_most=at_most)

    sleeper = sample([found], "sleeper_percent", "%")

    return Outcome(
        [
            row("megabytes", "MB", "memory of the worker", 150),
            row(
                *("idle_percent", "%"),
                "its CPU while nobody comes; peer: Python that wakes twice a second for nothing",
                *(1, sleeper),
            ),
            row("p99_ms", "ms", "from a recipient's first message to our answer, p99", 250),
            row("ready_s", "s", "ready again after kill -9", 3),
        ]
    )
