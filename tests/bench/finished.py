"""What finished flows cost those who look, start or run, with so many and with four times as many.

One flow is brought to its end by the engine, and its row copied by SQL. Then the installed command
is run on the database: `status`, `status --json`, a service that idles, `send`, `cancel`. The
growth is the figure: what does not look at finished flows must not notice them.

Nothing to compare with, so only by name: `make bench ONLY=finished`.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from attrs import frozen

from holdfast.flows.shipped.provision import Provision
from holdfast.testing import Peer
from holdfast.transfer import messages
from tests.flows.world import World
from tests.harness.server import MailboxServer
from tests.journal.many import multiply
from tests.journal.postgres import memory

FEW = 50_000
MANY = 4 * FEW
IDLE = 20.0
"""Seconds for which the service does nothing."""

COMMAND = str(Path(sys.executable).with_name("holdfast"))


@frozen
class Cost:
    """Of one command."""

    seconds: float
    cpu: float
    megabytes: float


def build(path: Path, count: int) -> None:
    """Make a database of so many flows that went well, and one that waits."""

    def accept(peer: Peer, _: bytes) -> None:
        peer.send(messages.accept_text())

    world = World(f"sqlite:///{path}")
    world.add(Provision(name="p", secret="s" * 32), "p")
    world.serve()
    world.peer(world.code("p"), on_message=accept)
    world.until(lambda: world.finished("p"))
    assert world.status("p") == "done"
    world.close()
    multiply(path, count)


def run(arguments: Sequence[str], environ: dict[str, str], stop: float | None = None) -> Cost:
    """Run the command to its end, or for so many seconds; what it took."""
    begun = time.monotonic()
    process = subprocess.Popen(
        [COMMAND, *arguments],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    if stop is not None:
        time.sleep(stop)
        process.send_signal(signal.SIGTERM)
    _, _, used = os.wait4(process.pid, 0)
    return Cost(time.monotonic() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def measure(folder: Path, count: int) -> dict[str, Cost]:
    """What each command takes beside so many finished flows."""
    path = folder / f"{count}.db"
    build(path, count)
    with MailboxServer(folder) as server:
        environ = {
            **os.environ,
            "HOLDFAST_DB": f"sqlite:///{path}",
            "HOLDFAST_RELAY": server.url,
            "HOME": str(folder),
        }
        found = {
            "status": run(["status"], environ),
            "status --json": run(["status", "--json"], environ),
            f"run, idle for {IDLE:.0f} s": run(["run"], environ, IDLE),
            "send, stopped after 3 s": run(["send", "--text", "text", "--for", "3s"], environ),
        }
        query = "SELECT name FROM holdfast_flows WHERE finished_at IS NULL"
        with closing(sqlite3.connect(path)) as connection:
            [(name,)] = connection.execute(query)
        found["cancel"] = run(["cancel", name], environ)
    return found


def tell(say: Callable[[str], object]) -> None:
    """Measure both databases, and say what has grown."""
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        costs = {count: measure(Path(folder), count) for count in (FEW, MANY)}
    for what, few in costs[FEW].items():
        many = costs[MANY][what]
        say(
            f"{what}: {few.seconds:.1f} s, {few.cpu:.2f} s of CPU and {few.megabytes:.0f} MB beside"
            f" {FEW:,}; {many.seconds:.1f} s, {many.cpu:.2f} s and {many.megabytes:.0f} MB beside"
            f" {MANY:,}; the CPU grows {many.cpu / few.cpu:.2f} times"
        )
