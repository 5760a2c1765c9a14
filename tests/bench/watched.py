"""100,000 codes that one watcher watches on `holdfast mailbox`: what they cost the server.

The codes are put into its database as they are there after an allocation; everything else goes over
a socket, from clients that cost little. The CPU is the server's alone, as the system counts it.
There is no peer: the stock server does not have watching.
"""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.mailbox import ALLOCATIONS, APPID, Watch, allocation, server
from tests.bench.measuring import Figures
from tests.harness.talker import Client, connected

WATCHED = 100_000
BATCH = 500
ARRIVALS = 1000
NAME = "w" * 64


def measure(url: str, pid: int) -> Figures:
    """What a server with so many waiting codes uses."""
    return asyncio.run(_measure(url, pid))


async def _measure(url: str, pid: int) -> Figures:
    found: dict[str, Any] = {"plain_mb": _megabytes(pid)}
    watcher, _ = await _returns(url)
    began = Watch(pid)
    for first in range(0, WATCHED, BATCH):
        numbers = range(first, first + BATCH)
        what = [[f"mailbox{n}", f"side{n}", 0] for n in numbers]
        watcher.say("holdfast-watch", request=first, mailboxes=what)
        assert not (await watcher.heard("holdfast-watched", first // BATCH + 1))["missing"]
    found |= {"watch_ms": began.figures(WATCHED)["ms"], "watch_s": began.seconds}
    clients = [await connected(url, APPID, os.urandom(5).hex()) for _ in range(ALLOCATIONS)]
    began = Watch(pid)
    for client in clients:
        await allocation(client)
    found["allocation_ms"] = began.figures(ALLOCATIONS)["ms"]
    for client in clients:
        client.leave()
    found |= await _arrivals(url, watcher)
    watcher.leave()
    began = Watch(pid)
    again, seconds = await _returns(url)
    found |= {"return_s": seconds, "return_ms": began.figures(1)["ms"]}
    assert (await again.heard("holdfast-watching"))["watches"] == WATCHED
    await again.heard("holdfast-arrived", ARRIVALS // BATCH)
    found |= {"all_told_s": began.seconds, "megabytes": _megabytes(pid)}
    again.leave()
    return found


async def _returns(url: str) -> tuple[Client, float]:
    """A watcher that has been answered, and how long that took."""
    began = time.monotonic()
    watcher = await connected(url, APPID, os.urandom(5).hex())
    watcher.say("holdfast-watcher", watcher=NAME)
    await watcher.heard("holdfast-watching")
    return watcher, time.monotonic() - began


async def _arrivals(url: str, watcher: Client) -> Figures:
    """From what a recipient says until the watcher hears of it, one after another."""
    seconds = []
    for number in range(ARRIVALS):
        peer = await connected(url, APPID, os.urandom(5).hex())
        peer.say("open", mailbox=f"mailbox{number}")
        await peer.heard("message")
        began = time.monotonic()
        peer.say("add", phase="pake", body="5a" * 33)
        await watcher.heard("holdfast-arrived", number + 1)
        seconds.append(time.monotonic() - began)
        peer.leave()
    seconds.sort()
    return {"told_ms": seconds[len(seconds) // 2] * 1000, "p99_ms": seconds[-10] * 1000}


def _megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1000


FIGURES = {
    "plain_mb": ("memory of the server before", "MB"),
    "megabytes": ("memory of the server", "MB"),
    "allocation_ms": ("CPU of an allocation", "ms"),
    "watch_ms": ("CPU to begin to watch one", "ms"),
    "watch_s": ("time to begin to watch all", "s"),
    "told_ms": ("from a message to its watcher, median", "ms"),
    "p99_ms": ("from a message to its watcher, p99", "ms"),
    "return_ms": ("CPU of a watcher's return", "ms"),
    "return_s": ("time of a watcher's return", "s"),
    "all_told_s": (f"until it has heard of {ARRIVALS:,} arrivals", "s"),
}


def tell(say: Callable[[str], None]) -> None:
    """Measure once, and say each figure."""
    with server("30d", WATCHED) as running:
        figures = measure(running.url, running.pid)
    for name, (what, unit) in FIGURES.items():
        say(f"{WATCHED:,} watched mailboxes: {what}: {figures[name]:.3g} {unit}")
