"""`python -m tests.simulation`: run seeds, count what happened, and print what failed."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from twisted.logger import globalLogBeginner

from tests.simulation.dilation import running as dilating
from tests.simulation.running import Outcome, run
from tests.simulation.transfers import KINDS as TRANSFERS
from tests.simulation.watching import WATCHED
from tests.simulation.world import FLOWS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this seed alone, and print its trace")
    parser.add_argument("--seeds", type=int, default=1000, help="run so many (default: 1000)")
    parser.add_argument("--first", type=int, default=0, help="from this one on (default: 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at a time")
    parser.add_argument("--transfers", action="store_true", help="worlds of transfers alone")
    parser.add_argument("--watching", action="store_true", help="worlds of a server that watches")
    parser.add_argument("--dilation", action="store_true", help="worlds of a dilated wormhole")
    given = parser.parse_args()
    live = dilating.run if given.dilation else partial(run, kinds=FLOWS)
    if given.transfers:
        live = partial(run, kinds=TRANSFERS)
    elif given.watching:
        live = partial(run, trouble=WATCHED)
    # What the dead leave undone is told when the garbage is collected, and worth nothing.
    globalLogBeginner.beginLoggingTo((), redirectStandardIO=False)
    if given.seed is not None:
        return one(given.seed, live)
    return many(range(given.first, given.first + given.seeds), given.jobs, live)


def one(seed: int, live: Callable[[int], Outcome]) -> int:
    outcome = live(seed)
    print("\n".join(outcome.trace))
    print(f"seed {seed}: {outcome.steps} steps, {outcome.seconds:.0f} s, trace {outcome.digest}")
    if outcome.problem:
        print(outcome.problem)
    return 1 if outcome.problem else 0


def many(seeds: range, jobs: int, live: Callable[[int], Outcome]) -> int:
    began = time.monotonic()
    counts: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    steps = done = 0
    seconds = 0.0
    failed: list[Outcome] = []
    with ProcessPoolExecutor(jobs) as pool:
        for outcome in pool.map(live, seeds, chunksize=10):
            done += 1
            steps += outcome.steps
            seconds += outcome.seconds
            counts += outcome.counts
            ends += outcome.endings
            if outcome.problem:
                failed.append(outcome)
                print(f"FAILED: {outcome.problem.strip().splitlines()[-1]}\n  {outcome.replay}")
            if done % 500 == 0:
                print(f"{done} of {len(seeds)} seeds, {len(failed)} failed", file=sys.stderr)
    took = time.monotonic() - began
    print(
        f"{done} seeds, {steps} steps, {seconds / 3600:.0f} simulated hours, {took:.0f} s,"
        f" {1000 * took * jobs / max(done, 1):.0f} ms a seed and processor; {len(failed)} failed"
    )
    for title, table in (("what went wrong", counts), ("how it ended", ends)):
        print(f"{title}:")
        for name, number in sorted(table.items()):
            print(f"  {name:<45} {number:>8}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
