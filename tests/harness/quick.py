"""Run as a program: runs another as a fork, for a shell that knows only this process.

    quick.py PROGRAM WORDS...

It ends as the fork does; and when it is killed itself, so is the fork. `commands` makes a folder of
them for PATH. That costs a tenth of what a `holdfast` or `wormhole` does that imports everything.
"""

import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]


def commands(folder: Path, programs: Sequence[Path]) -> Path:
    """Write commands of these names into *folder*, which run them; return it."""
    folder.mkdir()
    for program in programs:
        # Without the environment's packages: of its own it needs none.
        words = f'"{sys.executable}" -I -S "{__file__}" "{program}" "$@"'
        made = folder / program.name
        made.write_text(f"#!/bin/sh\nexec {words}\n")
        made.chmod(made.stat().st_mode | stat.S_IXUSR)
    return folder


def main() -> int:
    sys.path.insert(0, str(ROOT))
    from tests.harness import forks

    env = dict(os.environ)
    child = forks.start(sys.argv[1:], env=env, cwd=Path.cwd(), stdin=0, stdout=1, stderr=2)
    status = child.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
