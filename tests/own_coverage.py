"""How much of each room its own tests reach, branches included: `make coverage`.

    python -m tests.own_coverage [ROOM ...]

A room that only the tests of other rooms reach cannot be changed with confidence. Each has a floor,
a little below what it had when it was last measured, and the run fails below it. Commands of the
command line run in processes of their own, which are not counted, so `cli` and `operating` are not
here.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOMS = {
    "core": ("holdfast.core", "tests/core", 96),
    "crypto": ("holdfast.crypto", "tests/crypto", 97),
    "codes": ("holdfast.codes", "tests/codes", 99),
    "rendezvous": ("holdfast.rendezvous", "tests/rendezvous", 92),
    "server": ("holdfast.server", "tests/server", 90),
    "testing": ("holdfast.testing", "tests/testing", 86),
    "shell": ("holdfast.shell", "tests/api", 87),
    "api": ("holdfast.api", "tests/api", 95),
    "flows": ("holdfast.flows", "tests/flows", 93),
    "transfer": ("holdfast.transfer", "tests/transfer", 94),
    "transit": ("holdfast.transit", "tests/transit", 96),
    "dilation": ("holdfast.dilation", "tests/dilation", 96),
    "console": ("holdfast.console", "tests/console", 94),
    "journal": ("holdfast_journal", "tests/journal", 93),
}
"""Room: its package, the folder of its tests, and how many percent these must reach."""


def reached(package: str, folder: str) -> int:
    """Percent of the package's lines and branches. Raises SystemExit if a test fails."""
    with tempfile.TemporaryDirectory() as place:
        env = os.environ | {"COVERAGE_FILE": str(Path(place, "data"))}
        run = [sys.executable, "-m", "coverage"]
        tests = ["-m", "pytest", "-q", "-p", "no:xdist", folder]
        done = subprocess.run(
            [*run, "run", "--branch", f"--source={package}", *tests],
            env=env,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{folder}:\n{done.stdout}")
        total = subprocess.run(
            [*run, "report", "--format=total"], env=env, stdout=subprocess.PIPE, check=True
        )
    return int(total.stdout)


def main() -> None:
    """Measure the rooms that are named, or all."""
    low = []
    for name in sys.argv[1:] or ROOMS:
        package, folder, floor = ROOMS[name]
        percent = reached(package, folder)
        print(f"{name}: {percent} % of {package} by {folder} (at least {floor})", flush=True)
        if percent < floor:
            low.append(name)
    if low:
        raise SystemExit(f"too little of {', '.join(low)} is reached by its own tests")


if __name__ == "__main__":
    main()
