"""What it costs to keep 5,000 people waiting with 500 connections, on a server that forgets.

The mailbox server is the stock one with its stock settings: it forgets a mailbox eleven minutes
after the last visit.  Everybody is started, then the clock runs for longer than that, and at its
end some people collect with stock receivers.  Fair to read: the server shares the machine.

Nothing to compare with, and some 25 minutes: `make bench ONLY=thousands_parked`.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from tests.bench.thousand_waiting import Say, codes_in
from tests.bench.usage import usage
from tests.harness.peers import StockReceivers
from tests.harness.process import Holdfast
from tests.harness.server import MailboxServer
from tests.harness.waiting import until

PEOPLE, CONNECTIONS, MINUTES, COLLECT = 5000, 500, 17, 40


def tell(say: Say) -> None:
    """Measure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = "".join(f"p{n:05},secret-{n:05}\n" for n in range(PEOPLE))
        (folder / "people.csv").write_text("name,secret\n" + rows)
        with MailboxServer(folder) as server:
            measure(folder, server, say)


def measure(folder: Path, server: MailboxServer, say: Say) -> None:
    """Run the story and say a figure for each part of it."""
    people, codes = str(folder / "people.csv"), folder / "codes.csv"
    holdfast = Holdfast(home=folder / "home", db=str(folder / "h.db"), relay=server.url)
    begun = time.monotonic()
    words = ("provision", people, "--codes", str(codes), "--connections", str(CONNECTIONS))
    with holdfast.start(*words, fresh=True) as child:
        until(lambda: len(codes_in(codes)) == PEOPLE, "all codes", 1800)
        used = usage(child.pid)
        took = time.monotonic() - begun
        say(f"start: {PEOPLE} codes in {took:.0f} s, {used.cpu:.0f} CPU s")
        first, quiet_from = used, time.monotonic()
        for minute in range(1, MINUTES + 1):
            until(lambda m=minute: time.monotonic() - quiet_from > 60 * m, "a minute", 90)
            kept = len(server.tables().nameplates)
            say(f"  minute {minute}: the server knows {kept} codes")
        used = usage(child.pid)
        share = (used.cpu - first.cpu) / (time.monotonic() - quiet_from)
        say(f"parked: {share:.1%} of one core, {used.memory:.0f} MB")
        collect(server, codes_in(codes), say)
        child.interrupt()
        child.wait()


def collect(server: MailboxServer, codes: dict[str, str], say: Say) -> None:
    """Have some people collect, wherever their flows are in the round."""
    chosen = random.Random(1).sample(sorted(codes), COLLECT)
    begun = time.monotonic()
    with StockReceivers(server.url) as receivers:
        for person in chosen:
            receivers.receive(codes[person], person)
        outcomes = receivers.wait_all(timeout=900)
    wrong = [name for name, outcome in outcomes.items() if outcome.text != f"secret-{name[1:]}"]
    took = time.monotonic() - begun
    say(
        f"collecting: {len(outcomes)} of {COLLECT}, {len(wrong)} wrong, the last after {took:.0f} s"
    )
