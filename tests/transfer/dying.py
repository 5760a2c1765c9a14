"""Lives of a receiver that dies before each call into the system.

    python -m tests.transfer.dying FOLDER

Each life is a process that ends as `kill -9` ends it. The next one does the same from the start, as
a flow does that loads what it wrote down. Prints how both ended, and what was there after each.
"""

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from holdfast.transfer import placing
from holdfast.transfer.landing import Landing
from tests.transfer.faults import at_call, die
from tests.transfer.trees import archive, content

DATA = b"some data " * 1000
TREE = {"a": b"first", "b/c": b"second", "b/d/e": b"third"}
ARCHIVE = archive(*TREE.items())


def life(kind: str, home: Path, journal: Path) -> None:
    """What a flow does; the journal says that all has arrived, or that it is finished."""
    made = Landing(home, "got", "key")
    if not journal.exists():
        if made.landed is None:
            made.truncate(min(made.size, 100))
            data = ARCHIVE if kind == "folder" else DATA
            made.write([memoryview(data[made.size :])])
            made.sync()
            finish(kind, made)
        assert made.landed == home / ("got.part" if kind == "kept" else "got")
        journal.touch()
    made.discard()


def finish(kind: str, made: Landing) -> None:
    match kind:
        case "folder":
            made.unpacked(files=3, total=100)
        case "kept":
            made.keep()
        case "overwritten":
            made.finish_file(overwrite=True)
        case _:
            made.finish_file()


def is_whole(kind: str, home: Path) -> bool:
    """Whether what can be seen is exactly what was received, or what was there before."""
    seen = [each for each in home.iterdir() if not each.name.startswith(".")]
    if kind == "overwritten" and [each.read_bytes() for each in seen] == [b"old"]:
        return True
    if kind == "folder":
        return all(content(each) == TREE for each in seen)
    return all(each.read_bytes() == DATA for each in seen)


def forked(act: Callable[..., None], *given: object) -> int:
    """Do something in a process of its own; return its exit status."""
    child = os.fork()
    if not child:
        status = 1
        try:
            act(*given)
            status = 0
        finally:
            if status:
                traceback.print_exc()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def dying(number: int, kind: str, home: Path, journal: Path) -> None:
    """Live until the call with that number."""
    with at_call(number, die):
        life(kind, home, journal)


def deaths(kind: str, place: Path) -> list[tuple[int, int, bool, list[str], bool]]:
    """Die before each call; return how both lives ended, and what was there after each."""
    found = []
    number, status = 0, 9
    while status == 9:
        number += 1
        home, journal = place / f"{kind}-{number}", place / f"{kind}-{number}-journal"
        home.mkdir()
        if kind == "overwritten":
            (home / "got").write_bytes(b"old")
        status = forked(dying, number, kind, home, journal)
        between = is_whole(kind, home)
        second = forked(life, kind, home, journal)
        names = sorted(each.name for each in home.iterdir())
        found.append((status, second, between, names, is_whole(kind, home)))
    return found


def main() -> None:
    """Die in every way, and say what was found."""
    os.umask(0o022)
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as place:
        found = {
            kind: deaths(kind, Path(place)) for kind in ("file", "folder", "kept", "overwritten")
        }
        placing._renameat2 = None
        found["linked"] = deaths("linked", Path(place))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
