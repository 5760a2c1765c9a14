"""What a flow that talks for long writes, and the CPU of it, with so many messages and four times.

A flow sends messages of a kilobyte to one peer, each as an answer to the peer's; through the real
engine and journal, and a mailbox server in memory.  What is written are the pages of SQLite's log.
The growth is the figure: four times the messages are to cost four times as much.

Nothing to compare with, so only by name: `make bench ONLY=long_talk`.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import field, frozen

from holdfast import Flow, flow
from holdfast.testing import Peer
from tests.flows.world import World
from tests.journal.postgres import memory

FEW = 600
MANY = 4 * FEW
APPID = "example.com/bench-talk"


@flow("bench-talk", appid=APPID)
class Talk(Flow):
    """Says one thing after another."""

    count: int
    said: int = field(default=0, init=False)

    def started(self) -> None:
        """Begin."""
        self.wormhole.allocate_code()

    def wormhole_got_code(self, code: str) -> None:
        """Show it."""
        self.publish(code=code)

    def wormhole_got_versions(self, versions: dict[str, Any]) -> None:
        """The peer is there."""
        self.say()

    def wormhole_got_message(self, message: bytes) -> None:
        """Go on."""
        if self.said < self.count:
            self.say()

    def say(self) -> None:
        """Say a kilobyte."""
        self.said += 1
        self.wormhole.send_message(b"%1000d" % self.said)


@frozen
class Cost:
    """Of one talk."""

    cpu: float
    written: int
    checkpoint: int


def measure(path: Path, count: int) -> Cost:
    """Let a flow say so much."""
    world = World(f"sqlite:///{path}")
    world.add(Talk(count=count))
    world.serve()
    code = world.code()
    with closing(sqlite3.connect(path)) as connection:
        # The log is emptied by us alone, so that its length is what was written.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        written = 0
        log = path.with_name(path.name + "-wal")

        def answer(peer: Peer, message: bytes) -> None:
            nonlocal written
            if len(peer.messages) % 10 == 0:
                written += log.stat().st_size
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            peer.send(b"ok")

        peer = world.peer(code, on_message=answer)
        begun = time.process_time()
        world.until(lambda: len(peer.messages) == count)
        world.advance(1)
        cpu = time.process_time() - begun
        query = "SELECT length(checkpoint) FROM holdfast_flows"
        [(size,)] = connection.execute(query)
    world.close()
    return Cost(cpu, written, size)


def tell(say: Callable[[str], object]) -> None:
    """Measure both talks, and say what has grown."""
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        few, many = (measure(Path(folder) / f"{n}.db", n) for n in (FEW, MANY))
    for count, cost in ((FEW, few), (MANY, many)):
        say(
            f"{count} messages: {cost.cpu:.1f} s of CPU, {cost.written / 1e6:.1f} MB written,"
            f" a checkpoint of {cost.checkpoint} bytes"
        )
    say(
        f"four times the messages: {many.cpu / few.cpu:.2f} times the CPU,"
        f" {many.written / few.written:.2f} times the writing"
    )
