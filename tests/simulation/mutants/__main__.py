"""`python -m tests.simulation.mutants`: is each broken variant found out?"""

from __future__ import annotations

import argparse
import os
import sys
import time

from tests.simulation.mutants import MUTANTS
from tests.simulation.mutants.hunting import hunt


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    parser.add_argument(
        "--only", metavar="NAME", nargs="+", choices=MUTANTS, help="try these alone"
    )
    parser.add_argument("--seeds", type=int, help="so many at most, instead of each one's limit")
    parser.add_argument("--first", type=int, default=0, help="from this seed on (default: 0)")
    parser.add_argument("--seed", type=int, help="with --only: print what happens under this one")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at a time")
    given = parser.parse_args()
    if given.seed is not None:
        outcome = MUTANTS[given.only[0]].run(given.seed)
        print("\n".join([*outcome.trace, outcome.problem]))
        return 0
    names = given.only or list(MUTANTS)
    survivors = 0
    began = time.monotonic()
    print(f"{'mutant':<31} {'seeds':>9}  {'found by':<9} violated")
    for found in hunt(names, given.first, given.seeds, given.jobs):
        mutant = MUTANTS[found.name]
        limit = given.seeds or mutant.within
        survivors += found.seed is None
        by = "SURVIVES" if found.seed is None else f"seed {found.seed}"
        print(f"{found.name:<31} {found.seeds:>4}/{limit:<4}  {by:<9} {found.violated}")
        print(f"{'':<43}({mutant.breaks}: {mutant.matters})", flush=True)
    took = time.monotonic() - began
    print(f"{len(names)} mutants, {survivors} survive, {took:.0f} s")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
