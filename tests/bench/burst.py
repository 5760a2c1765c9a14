"""500 wormholes started at once, on a mailbox server with a slow disk: how many get no code.

The server is the stock one, whose every commit takes 10 ms more than it does, as on a disk that
has much to do; asking for a code takes it several commits.  Each library starts 500 wormholes in
one turn of its reactor, asks for a code in each, and has so much time as it wants, as long as
anything happens: after 20 s in which no wormhole got a code or failed, those without are lost.
Fair, because both meet the same server, in a new process, and both do what their defaults are.
"""

import time
from typing import Any

from tests.bench.exchange import APPID
from tests.bench.measuring import Bench, Figures, Outcome, Row, folder, program, sample
from tests.harness.server import MailboxServer

COUNT = 500
SLOW_COMMIT = 0.01
QUIET = 20.0


def measure(url: str, count: int, quiet: float) -> Figures:
    """How many were lost, and how long it took."""
    from twisted.internet import reactor

    from holdfast import create

    return watch(create, url, count, quiet, reactor)


def watch(create: Any, url: str, count: int, quiet: float, reactor: Any) -> Figures:
    """The same lines for both libraries."""
    begun = [time.monotonic(), time.process_time()]
    last = [begun[0]]
    codes: list[str] = []
    failed: list[Any] = []

    def happened(where: list[Any], what: Any) -> None:
        where.append(what)
        last[0] = time.monotonic()

    def start() -> None:
        for _ in range(count):
            wormhole = create(APPID, url, reactor)
            kept.append(wormhole)
            wormhole.allocate_code(2)
            wormhole.get_code().addCallbacks(
                lambda code: happened(codes, code), lambda why: happened(failed, why)
            )
        look()

    def look() -> None:
        over = len(codes) + len(failed) == count
        if over or time.monotonic() - last[0] > quiet:
            reactor.stop()
        else:
            reactor.callLater(0.1, look)

    kept: list[Any] = []
    reactor.callWhenRunning(start)
    reactor.run()
    return {
        "lost": count - len(set(codes)),
        "failed": len(failed),
        "seconds": last[0] - begun[0],
        "cpu_ms": (time.process_time() - begun[1]) / count * 1000,
    }


def compare(bench: Bench) -> Outcome:
    """Each in turn, on a server of its own."""

    def on_a_server(run: Any) -> Figures:
        with folder() as quick, MailboxServer(quick, slow_commit=SLOW_COMMIT) as server:
            figures: Figures = run(url=server.url, count=COUNT, quiet=QUIET)
            return figures

    found = bench.rounds(
        1,
        {
            "magic-wormhole": lambda: on_a_server(
                lambda **given: bench.peer("wormhole", "wormhole_burst.py", **given)
            ),
            "Holdfast": lambda: on_a_server(lambda **given: bench.ours("burst", **given)),
        },
    )
    peer, ours = (sample(each, "lost", "lost") for each in found.values())
    what = f"{COUNT} wormholes started at once, server with a slow disk"
    return Outcome([Row(what, peer, ours, at_most=0)])


if __name__ == "__main__":
    program(measure)
