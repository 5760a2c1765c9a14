"""`make bench`: the project and its peers, side by side.

    python -m tests.bench [--only NAME] [--peers .venv-peers]

Writes the table to the terminal, and with its pictures into `docs/bench`.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

from tests.bench import table
from tests.bench.measuring import Bench

USUAL = (
    "main_job",
    "exchange",
    "pake",
    "memory",
    "state",
    "parked",
    "waiting",
    "burst",
    "mailbox",
    "commands",
    "entries",
    "tasks",
    "resume",
    "transfer",
    "dilation",
)
"""In the order of the table."""
ON_REQUEST = (
    "tricks",
    "console",
    "sizes",
    "long_talk",
    "finished",
    "thousand_waiting",
    "thousands_parked",
    "watched",
    "waiting_100k",
    "transfer_floor",
    "dilation_floor",
)
"""Those that take long and compare with nothing: only by name, and only to the terminal."""


def say(line: str) -> None:
    """Write a line to the terminal, at once."""
    print(line, flush=True)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--only", choices=[*USUAL, *ON_REQUEST], metavar="NAME")
    parser.add_argument("--peers", type=Path, default=Path(".venv-peers"))
    given = parser.parse_args()
    # What was started ends with us, by the same way as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if given.only in ON_REQUEST:
        import_module(f"tests.bench.{given.only}").tell(say)
        return
    bench = Bench(given.peers.absolute(), say)
    for name in [given.only] if given.only else USUAL:
        module = import_module(f"tests.bench.{name}")
        say(f"{name}: {(module.__doc__ or '').partition(chr(10))[0]}")
        begun = time.monotonic()
        outcome = module.compare(bench)
        say(f"  {time.monotonic() - begun:.0f} s")
        for row in outcome.rows:
            say("  " + "  |  ".join(table.cells(row)).strip(" |"))
        for note in outcome.notes:
            say(f"  {note}")
        table.keep(name, outcome)
    table.write(USUAL)
    say(f"\n{(table.FOLDER / 'table.md').read_text()}")


if __name__ == "__main__":
    main()
