"""`make power`: every state of every scenario, and how many of the weak ones are bad."""

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from attrs import frozen

from tests.journal.recording import RECORDED
from tests.power import scenarios
from tests.power.recording import can_trace
from tests.power.scenarios import Scenario, Verdict, judge, workplace

WEAK_STATES = 500
"""Of a scenario that is broken on purpose: some must be bad, and a sample is enough for that."""


@frozen
class Work:
    """One scenario; broken on purpose if `weak` says how."""

    name: str
    weak: str = ""

    def __str__(self) -> str:
        return f"{self.name}, {self.weak}" if self.weak else self.name


ALL = [
    *map(Work, ("exchange", "journal", "receive", "upgrade", "new", "files")),
    *(Work("journal", "normal"), Work("exchange", "normal"), Work("new", "unsynced")),
    *(Work("receive", "unsynced"), Work("upgrade", "careless"), Work("files", "unsynced")),
]

MADE: dict[str, Callable[[Path, str], Scenario]] = {
    "exchange": scenarios.exchange,
    "journal": scenarios.journal,
    "receive": scenarios.receive,
    "upgrade": lambda folder, weak: scenarios.upgraded(folder, RECORDED / "0001", weak),
    "new": scenarios.new,
    "files": scenarios.files,
}


def do(work: Work, most: int | None, seed: int) -> Verdict:
    """Record one scenario and judge its states."""
    if work.weak:
        most = min(most or WEAK_STATES, WEAK_STATES)
    with workplace() as folder:
        return judge(str(work), MADE[work.name](folder, work.weak), most, seed)


def main() -> int:
    """Return 1 if a state is bad that must not be, or a broken scenario has none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", type=int, help="of each scenario a sample of so many")
    parser.add_argument("--seed", type=int, default=0, help="of what is chosen at random")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("names", nargs="*", metavar="SCENARIO", help=", ".join(MADE))
    given = parser.parse_args()
    if not can_trace():
        print("strace is not installed, or may not trace", file=sys.stderr)
        return 2
    began, failed, total = time.monotonic(), False, 0
    chosen = [work for work in ALL if not given.names or work.name in given.names]
    with ProcessPoolExecutor(given.jobs) as pool:
        under_way = [pool.submit(do, work, given.states, given.seed) for work in chosen]
        for work, each in zip(chosen, under_way, strict=True):
            verdict = each.result()
            wrong = bool(verdict.bad) != bool(work.weak)
            failed = failed or wrong
            total += 0 if work.weak else verdict.states
            print(f"{'WRONG ' if wrong else ''}{verdict}", flush=True)
            for line in verdict.bad[: 10 if wrong else 0]:
                print(f"  {line}")
    print(f"{total} states, {time.monotonic() - began:.0f} seconds, seed {given.seed}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
