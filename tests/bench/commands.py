"""CPU of `--version` and `--help`, from the start of the interpreter to its end.

Fair, because both are the installed commands of their environments, called as a person calls them,
with their compiled files in place (the first call is not counted).
"""

import sys
from functools import partial
from pathlib import Path

from tests.bench.measuring import Bench, Figures, Outcome, Row, cpu_of, sample

ROUNDS = 5


def compare(bench: Bench) -> Outcome:
    """Both commands with both options."""
    theirs = bench.python("wormhole").with_name("wormhole")
    ours = Path(sys.executable).with_name("holdfast")
    rows = []
    for option in ("--version", "--help"):
        contestants = {
            "wormhole": partial(_cost, theirs, option),
            "holdfast": partial(_cost, ours, option),
        }
        for contestant in contestants.values():
            contestant()
        found = bench.rounds(ROUNDS, contestants)
        peer, mine = (sample(found[name], "ms", "ms") for name in ("wormhole", "holdfast"))
        rows.append(Row(f"`{option}`, CPU", peer, mine, at_most=150))
    return Outcome(rows)


def _cost(command: Path, option: str) -> Figures:
    return {"ms": cpu_of([command, option]) * 1000}
