"""Exchanges a second of a mailbox server on a disk, and what an allocation costs among 5,000 codes.

The peer is the stock server with its stock settings, by its own makeService(); ours is
`holdfast mailbox`, which runs the same package.  Fair, because both are new processes of the same
environment with a database on the same disk, and both hear the same frames from the same clients:
raw sockets that say what two stock clients with a message of 1 kB each way say, several exchanges
at once, and understand just enough of the answers to go on, so that the clock measures the server.
The CPU is the server's alone, as the system counts it.
"""

import asyncio
import os
import shutil
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.bench.measuring import (
    Bench,
    Figures,
    Outcome,
    Plot,
    Row,
    Sample,
    folder,
    program,
    sample,
)
from tests.harness.server import MailboxServer
from tests.harness.talker import Client, connected

APPID = "example.com/bench"
BODY = "5a" * 1000
AT_ONCE = (1, 10, 40)
USUAL = 10
SECONDS = 6.0
WAITING = 5000
ALLOCATIONS = 50
GOAL = 3
"""How many times the exchanges of the stock server."""


async def exchange(url: str) -> None:
    """What two stock clients say, from the code to the end."""
    ann, bob = await asyncio.gather(*(connected(url, APPID, os.urandom(5).hex()) for _ in range(2)))
    ann.say("allocate")
    nameplate = (await ann.heard("allocated"))["nameplate"]
    ann.say("claim", nameplate=nameplate)
    mailbox = (await ann.heard("claimed"))["mailbox"]
    ann.say("open", mailbox=mailbox)
    ann.say("add", phase="pake", body=BODY[:80])
    await ann.heard("message")
    bob.say("claim", nameplate=nameplate)
    assert (await bob.heard("claimed"))["mailbox"] == mailbox
    bob.say("open", mailbox=mailbox)
    bob.say("add", phase="pake", body=BODY[:80])
    await asyncio.gather(*(talk(each, nameplate, mailbox) for each in (ann, bob)))


async def talk(each: Client, nameplate: str, mailbox: str) -> None:
    """What each side says once it has heard of the other."""
    await each.heard("message", 2)
    each.say("release", nameplate=nameplate)
    each.say("add", phase="version", body=BODY[:160])
    each.say("add", phase="0", body=BODY)
    await asyncio.gather(each.heard("message", 6))
    await each.heard("released")
    each.say("close", mailbox=mailbox, mood="happy")
    await each.heard("closed")
    each.leave()


async def allocation(client: Client) -> None:
    """One code."""
    client.say("allocate")
    await client.heard("allocated")


def measure(url: str, pid: int, what: str, at_once: int) -> Figures:
    """The server's figures for each exchange in some seconds, or for each of some allocations."""
    return asyncio.run(_exchanges(url, pid, at_once) if what == "exchange" else _codes(url, pid))


async def _exchanges(url: str, pid: int, at_once: int) -> Figures:
    await exchange(url)
    done = 0
    watch = Watch(pid)

    async def one_after_another() -> None:
        nonlocal done
        while watch.seconds < SECONDS:
            await exchange(url)
            done += 1

    await asyncio.gather(*(one_after_another() for _ in range(at_once)))
    return watch.figures(done)


async def _codes(url: str, pid: int) -> Figures:
    clients = [await connected(url, APPID, os.urandom(5).hex()) for _ in range(ALLOCATIONS)]
    watch = Watch(pid)
    for client in clients:
        await allocation(client)
    return watch.figures(ALLOCATIONS)


class Watch:
    """The clock, and what a server and we used since this was made."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._begun = time.monotonic(), _cpu_of(pid), time.process_time()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begun[0]

    def figures(self, done: int) -> Figures:
        """For each of so many."""
        return {
            "done": done,
            "per_second": done / self.seconds,
            "ms": (_cpu_of(self._pid) - self._begun[1]) / done * 1000,
            "clients_ms": (time.process_time() - self._begun[2]) / done * 1000,
        }


def _cpu_of(pid: int) -> float:
    """CPU seconds that a process has used."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def fill(database: Path, count: int) -> None:
    """Let so many codes wait, each in a mailbox with its sender's first message."""
    now = time.time()
    with closing(sqlite3.connect(database)) as connection, connection:
        for number in range(count):
            app, mailbox, side = APPID, f"mailbox{number}", f"side{number}"
            for statement, row in (
                ("mailboxes VALUES (?, ?, ?, 1)", (app, mailbox, now)),
                ("mailbox_sides VALUES (?, 1, ?, ?, NULL)", (mailbox, side, now)),
                ("nameplates VALUES (?, ?, ?, ?, NULL)", (number, app, f"{number}", mailbox)),
                ("nameplate_sides VALUES (?, 1, ?, ?)", (number, side, now)),
                ("messages VALUES (?, ?, ?, 'pake', ?, ?, '')", (app, mailbox, side, "5a", now)),
            ):
                connection.execute(f"INSERT INTO {statement}", row)


@contextmanager
def server(keep: str | None, waiting: int = 0) -> Iterator[MailboxServer]:
    """One of both, new, on the disk; with codes that wait."""
    with folder(on_disk=True) as disk, MailboxServer(disk, keep=keep) as running:
        if waiting:
            running.stop()
            fill(running.database, waiting)
            running.start()
        yield running


@contextmanager
def counted(pid: int) -> Iterator[Callable[[], int]]:
    """Count how often a process waits for the disk meanwhile. Raises FileNotFoundError."""
    with folder() as place:
        found = place / "syncs"
        command = ["strace", "-f", "-e", "trace=fsync,fdatasync", "-o", found, "-p", str(pid)]
        counting = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert counting.stderr is not None
        assert "attached" in counting.stderr.readline(), "strace may not watch"

        def count() -> int:
            counting.terminate()
            counting.communicate()
            return found.read_text().count("sync(")

        yield count


def compare(bench: Bench) -> Outcome:
    """Both in turns: exchanges, one at a time and several; and allocations."""

    def run(keep: str | None, what: str, at_once: int, waiting: int = 0) -> Figures:
        with server(keep, waiting) as running:
            given = {"url": running.url, "pid": running.pid}
            return bench.ours("mailbox", **given, what=what, at_once=at_once)

    def both(rounds: int, *given: Any) -> list[list[Figures]]:
        found = bench.rounds(
            rounds,
            {"stock": lambda: run(None, *given), "holdfast mailbox": lambda: run("30d", *given)},
        )
        return list(found.values())

    rows: list[Row] = []
    rates: dict[str, list[tuple[float, float]]] = {"stock server": [], "holdfast mailbox": []}
    for at_once in AT_ONCE:
        peer, ours = both(3 if at_once == USUAL else 1, "exchange", at_once)
        for name, figures in zip(rates, (peer, ours), strict=True):
            rates[name].append((at_once, statistics.median(f["per_second"] for f in figures)))
        if at_once == USUAL:
            what = f"mailbox server, {at_once} exchanges at once"
            theirs = sample(peer, "per_second", "/s")
            rows = [
                Row(
                    f"{what}: exchanges a second",
                    theirs,
                    sample(ours, "per_second", "/s"),
                    at_least=GOAL * theirs.median,
                    more_is_better=True,
                ),
                Row(f"{what}: CPU for each", sample(peer, "ms", "ms"), sample(ours, "ms", "ms")),
            ]
    rows += syncs(bench)
    for waiting in (0, WAITING):
        peer, ours = both(3, "allocation", 1, waiting)
        what = f"mailbox server, {waiting:,} codes waiting: CPU of an allocation"
        rows.append(Row(what, sample(peer, "ms", "ms"), sample(ours, "ms", "ms")))
    plot = Plot(
        "mailbox-rate",
        "Exchanges a second of a mailbox server, its database on a disk",
        "exchanges at once",
        "exchanges/s",
        rates,
    )
    return Outcome(rows, [plot])


def syncs(bench: Bench) -> list[Row]:
    """How often each waits for the disk in an exchange; nothing where that cannot be counted."""
    if shutil.which("strace") is None:
        return []
    found = []
    for keep in (None, "30d"):
        with server(keep) as running, counted(running.pid) as count:
            given = {"url": running.url, "pid": running.pid}
            figures = bench.ours("mailbox", **given, what="exchange", at_once=USUAL)
            # One exchange more than was measured: the first.
            found.append(Sample([count() / (figures["done"] + 1)], "syncs"))
    what = f"mailbox server, {USUAL} exchanges at once: waits for the disk, for each"
    return [Row(what, found[0], found[1])]


if __name__ == "__main__":
    program(measure)
