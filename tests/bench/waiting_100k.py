"""What it costs to keep 10,000 and 100,000 people waiting, on one worker and one mailbox server.

As `waiting`, which says what is measured and how. Some 10 minutes:
`make bench ONLY=waiting_100k`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.bench.measuring import Bench, number
from tests.bench.waiting import Lengths, story

COUNTS = (10_000, 100_000)
LENGTHS = Lengths(idle=60, comes=60)

FIGURES = {
    "start_s": ("from the start of the worker until the first is answered", "s"),
    "megabytes": ("memory of the worker", "MB"),
    "idle_percent": ("its CPU while nobody comes", "% of a core"),
    "sleeper_percent": ("that of Python which wakes twice a second for nothing", "% of a core"),
    "median_ms": ("from a recipient's first message to our answer, median", "ms"),
    "p99_ms": ("the same, p99, with 20 recipients a second", "ms"),
    "slowest_ms": ("the slowest", "ms"),
    "ms_each": ("CPU of the worker for each recipient", "ms"),
    "ready_s": ("after kill -9, until 20 who came meanwhile are served", "s"),
    "megabytes_after": ("memory of the worker after all that", "MB"),
    "server_megabytes": ("memory of the mailbox server", "MB"),
    "server_megabytes_after": ("the same after all that", "MB"),
    "server_idle_percent": ("its CPU while nobody comes", "% of a core"),
    "server_ms_each": ("CPU of the mailbox server for each recipient, both sides", "ms"),
    "allocation_ms": ("CPU of the mailbox server for an allocation", "ms"),
    "server_ready_s": ("from the server's restart until whoever comes is served", "s"),
}


def tell(say: Callable[[str], None]) -> None:
    """Measure with both counts, and say each figure."""
    for count in COUNTS:
        with story(Bench(Path(), say), count) as told:
            found = told.tell(LENGTHS)
        for name, (what, unit) in FIGURES.items():
            say(f"{count:,} waiting: {what}: {number(found[name])} {unit}")
