"""Bytes of one wormhole that waits for its peer, serialized as JSON.

There is nothing to compare with: `magic-wormhole` cannot serialize a wormhole.  Ours has its code,
its mailbox and its own first message, on a mailbox server in memory, as after any allocation.
"""

import json
from typing import Any

from holdfast.core.exchange import Exchange
from holdfast.shell.wormhole import DelegatedWormhole
from holdfast.testing import Clock, MailboxServer, Network
from holdfast.testing.network import URL
from holdfast_journal import ImmediateJournal
from tests.bench.measuring import Bench, Figures, Outcome, Row, program, sample

APPID = "lothar.com/wormhole/text-or-file-xfer"


def waiting() -> dict[str, Any]:
    """The document of a wormhole that waits."""
    clock = Clock()
    network = Network(MailboxServer(clock.seconds), clock)
    exchange = Exchange(APPID, "0123456789")
    wormhole = DelegatedWormhole(URL, exchange, object(), ImmediateJournal(), network.connector)
    wormhole.start()
    wormhole.allocate_code()
    network.deliver_all()
    assert wormhole.is_resting
    return wormhole.serialize()


def measure() -> Figures:
    """Bytes."""
    return {"kB": len(json.dumps(waiting())) / 1000}


def compare(bench: Bench) -> Outcome:
    """Ours."""
    found = bench.rounds(1, {"Holdfast": lambda: bench.ours("state")})
    ours = sample(found["Holdfast"], "kB", "kB")
    return Outcome([Row("state of a waiting wormhole, serialized", "cannot", ours, at_most=2)])


if __name__ == "__main__":
    program(measure)
