"""Fuzz with Atheris, which looks for inputs that reach new code: `make fuzz MINUTES=10`.

    python -m tests.fuzz [--minutes M] [--jobs N] [TARGET ...]

Every target gets its share of the time, in a process of its own. An input that breaks the invariant
is written to tests/fuzz/corpus/TARGET/found-..., to be fixed, renamed and explained there.
Where Atheris cannot be installed, inputs are broken without a look at what they reach.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha1
from pathlib import Path
from random import Random

from tests.fuzz.mutating import mutated
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

LONGEST_RUN = 20
"""Seconds that one input may take."""

MOST_MEMORY = 1500
"""Megabytes."""


MOST_SEEDS = 30
"""Inputs that libFuzzer begins with."""


def main() -> int:
    """Fuzz the targets that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=10.0, help="in all")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET")
    given = parser.parse_args()
    names = given.targets or list(TARGETS)
    if given.alone:
        _fuzz(TARGETS[names[0]], given.minutes * 60, given.folder)
        return 0
    each = given.minutes * given.jobs / len(names)
    with tempfile.TemporaryDirectory(prefix="holdfast-fuzz-") as folder:
        with ThreadPoolExecutor(given.jobs) as pool:
            lines = list(pool.map(lambda name: _one(name, each, Path(folder)), names))
    for line in lines:
        print(line)
    return any("FOUND" in line for line in lines)


def _one(name: str, minutes: float, folder: Path) -> str:
    """Fuzz one target in a process of its own; return a line about it."""
    command = [sys.executable, "-m", "tests.fuzz", "--alone", "--minutes", str(minutes)]
    ended = subprocess.run(
        [*command, "--folder", str(folder), name], capture_output=True, text=True, check=False
    )
    said = ended.stdout + ended.stderr
    tried = max((int(each) for each in re.findall(r"(?m)^#(\d+)", said)), default=0)
    done = re.findall(r"Done (\d+)", said)
    tried = int(done[-1]) if done else tried
    line = f"{name:16} {tried:>9,} inputs in {minutes:.1f} min"
    if ended.returncode:
        print(said[-6000:], file=sys.stderr)
        line += "  FOUND something, see above"
    print(line, flush=True)
    return line


def _fuzz(target: Target, seconds: float, folder: Path) -> None:
    try:
        import atheris
    except ModuleNotFoundError:
        _fuzz_blindly(target, seconds)
        return
    with atheris.instrument_imports(include=["holdfast", "holdfast_journal"]):
        for module in [each for each in sys.modules if each.startswith(("holdfast", "tests.fuzz"))]:
            del sys.modules[module]
        from tests.fuzz.targets import TARGETS as INSTRUMENTED

    target = INSTRUMENTED[target.name]
    inputs = target.inputs()
    work = folder / target.name
    work.mkdir()
    # Reading them in does not count as time; the others come in by `mutate`.
    for number, data in enumerate(inputs[:: 1 + len(inputs) // MOST_SEEDS]):
        (work / f"seed-{number:03}").write_bytes(data)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.5:
            broken: bytes = atheris.Mutate(data, len(data) + 8)
        else:
            broken = mutated(random.choice((data, random.choice(inputs))), random, inputs)
        return broken[:max_size]

    target.folder.mkdir(exist_ok=True)
    atheris.Setup(
        [
            *(sys.argv[0], str(work), f"-max_total_time={seconds:.0f}", "-max_len=20000"),
            *(f"-timeout={LONGEST_RUN}", f"-rss_limit_mb={MOST_MEMORY}", "-print_final_stats=1"),
            f"-artifact_prefix={target.folder}/found-",
        ],
        target.attempt,
        custom_mutator=mutate,
    )
    atheris.Fuzz()


def _fuzz_blindly(target: Target, seconds: float) -> None:
    """Without Atheris: what `make test` does, for longer, and another time each time."""
    inputs, random = target.inputs(), Random()
    end = time.monotonic() + seconds
    tried = 0
    while time.monotonic() < end:
        data = mutated(random.choice(inputs), random, inputs)
        try:
            target.attempt(data)
        except Exception:
            target.folder.mkdir(exist_ok=True)
            (target.folder / f"found-{sha1(data).hexdigest()}").write_bytes(data)
            raise
        tried += 1
    print(f"Done {tried}")


if __name__ == "__main__":
    sys.exit(main())
