"""What it costs to keep 1,000 people waiting, and to serve 200 of them in one minute.

Measured from outside, by /proc, on the real `holdfast provision` with a real `holdfast mailbox`
beside it, and 200 stock receivers that come at even distances over one minute.  The mailbox server,
the receivers and the provisioning process share the machine.

Nothing to compare with, and some two minutes: `make bench ONLY=thousand_waiting`.
"""

from __future__ import annotations

import csv
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.usage import usage
from tests.harness.peers import StockReceivers
from tests.harness.process import Holdfast
from tests.harness.server import MailboxServer
from tests.harness.waiting import until

PEOPLE, COLLECT, MINUTE = 1000, 200, 60.0

Say = Callable[[str], object]


def codes_in(path: Path) -> dict[str, str]:
    """Return the codes given out so far."""
    if not path.exists():
        return {}
    with path.open(newline="") as stream:
        return {row["name"]: row["code"] for row in csv.DictReader(stream)}


def tell(say: Say) -> None:
    """Measure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        people, codes = folder / "people.csv", folder / "codes.csv"
        rows = "".join(f"p{n:04},secret-{n:04}\n" for n in range(PEOPLE))
        people.write_text("name,secret\n" + rows)
        with MailboxServer(folder, keep="30d") as server:
            measure(folder, people, codes, server, say)


def measure(folder: Path, people: Path, codes: Path, server: MailboxServer, say: Say) -> None:
    """Run the story and say a figure for each part of it."""
    holdfast = Holdfast(home=folder / "home", db=str(folder / "h.db"), relay=server.url)
    begun = time.monotonic()
    with holdfast.start("provision", str(people), "--codes", str(codes), fresh=True) as child:
        pid = child.pid
        until(lambda: len(codes_in(codes)) == PEOPLE, "all codes", 300)
        used = usage(pid)
        took = time.monotonic() - begun
        say(f"start: {PEOPLE} codes in {took:.1f} s, {used.cpu:.1f} CPU s, {used.memory:.0f} MB")
        idle_from, cpu_from = time.monotonic(), used.cpu
        until(lambda: time.monotonic() - idle_from > 20, "20 s of quiet", 60)
        used = usage(pid)
        share = (used.cpu - cpu_from) / (time.monotonic() - idle_from)
        say(f"waiting: {share:.1%} of one core, {used.memory:.0f} MB")
        with StockReceivers(server.url) as receivers:
            chosen = list(codes_in(codes).items())[:COLLECT]
            cpu_from, minute_from = usage(pid).cpu, time.monotonic()
            for place, (person, code) in enumerate(chosen):
                due = minute_from + place * MINUTE / COLLECT
                until(lambda due=due: time.monotonic() >= due, "the next one's time", 60)
                receivers.receive(code, person)
            outcomes = receivers.wait_all(timeout=300)
            wrong = [n for n, o in outcomes.items() if o.text != f"secret-{n[1:]}"]
            used = usage(pid)
            took = time.monotonic() - minute_from
            say(
                f"collecting: {len(outcomes)} in {took:.1f} s, {len(wrong)} wrong,"
                f" {(used.cpu - cpu_from) / max(1, len(outcomes)) * 1000:.1f} CPU ms each,"
                f" {used.memory:.0f} MB"
            )
        child.kill9()
    begun = time.monotonic()
    with holdfast.start("provision", str(people), "--codes", str(codes), fresh=True) as child:
        pid = child.pid
        until(lambda: reconnected(holdfast), "everybody reconnected", 120)
        took = time.monotonic() - begun
        say(f"again after kill -9: {took:.1f} s, {usage(pid).cpu:.1f} CPU s")
        child.interrupt()
        child.wait()


def reconnected(holdfast: Holdfast) -> bool:
    """Whether the worker has all unfinished flows."""
    rows = json.loads(holdfast.run("status", "--json").out)
    alive = [row["worker"] is not None and row["worker"]["alive"] for row in rows]
    return sum(alive) == PEOPLE - COLLECT
