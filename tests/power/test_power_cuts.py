"""After a power cut everything that was released is there: a sample of all states.

A larger one with EVERY_MOMENT set in the environment; `make power` looks at every state, and at
real exchanges.
"""

import os
import random
from pathlib import Path

import pytest

from tests.journal.recording import RECORDED
from tests.power import scenarios
from tests.power.disk import SECTOR, Disk
from tests.power.recording import Recording, can_trace
from tests.power.scenarios import judge, workplace
from tests.power.steps import Made, Released, Removed, Renamed, Synced, SyncedFolder, Written

pytestmark = pytest.mark.long

SHARE = 1 if os.environ.get("EVERY_MOMENT") else 2
"""Of the larger sample the half is enough where everything is tried each time."""

traced = pytest.mark.skipif(not can_trace(), reason="strace is not installed, or may not trace")


@traced
def test_what_was_released_is_there() -> None:
    """No power cut takes an entry, a checkpoint or the key of what has left the process."""
    with workplace() as folder:
        verdict = judge("journal", scenarios.journal(folder), most=90 // SHARE)
    print(verdict)
    assert (verdict.states, verdict.bad) == (90 // SHARE, [])


@traced
def test_a_journal_that_syncs_less_is_found_out() -> None:
    """With synchronous=NORMAL entries are lost, and unsynced keys are: the check above can fail."""
    with workplace() as folder:
        scenario = scenarios.journal(folder, "normal unsynced", rounds=12)
        verdict = judge("journal, weak", scenario, most=40)
    print(verdict)
    assert any("was released, and" in each for each in verdict.bad)
    assert any("key" in each for each in verdict.bad)


@traced
def test_a_new_database() -> None:
    """A database that was just made, with its key and its directories, outlives a power cut."""
    with workplace() as folder:
        verdict = judge("new", scenarios.new(folder), most=20)
    print(verdict)
    assert (verdict.states, verdict.bad) == (20, [])


@traced
def test_files_written_whole() -> None:
    """A file is the old or the new one, and the new one once its writer has gone on."""
    with workplace() as folder:
        verdict = judge("files", scenarios.files(folder))
        weak = judge("files, weak", scenarios.files(folder, "unsynced"))
    print(verdict, weak, sep="\n")
    assert verdict.states > 40
    assert verdict.bad == []
    assert weak.bad


@traced
def test_an_upgrade() -> None:
    """As soon as a database is of the new release its copy is there, and whole."""
    with workplace() as folder:
        verdict = judge(
            "upgrade", scenarios.upgraded(folder, RECORDED / "0001", opened=15), most=46 // SHARE
        )
    print(verdict)
    assert (verdict.states, verdict.bad) == (46 // SHARE, [])


ROOT = Path("/root-of-all")
PART, FILE = str(ROOT / "part"), str(ROOT / "file")


def left(*steps: object) -> set[tuple[tuple[str, bytes], ...]]:
    """What power cuts can leave at the end of these steps, in a folder with an old file."""
    recording = Recording(ROOT, {FILE: b"old"}, frozenset({str(ROOT)}), ())
    disk = Disk(recording)
    for step in steps:
        disk.do(step)  # type: ignore[arg-type]
    found = (disk.after(how, fate) for how, fate in disk.fates(random.Random(0)))
    return {tuple(sorted(state.files.items())) for state in found}


class TestModel:
    """The model of the disk allows what disks do, and no less."""

    def test_an_unsynced_write(self) -> None:
        """It may be there, or not, or torn at a sector, and the file may have grown for nothing."""
        data = b"x" * (2 * SECTOR)
        contents = {dict(files)["file"] for files in left(Written(0, 0, data))}
        grown = b"old" + bytes(2 * SECTOR - 3)
        assert contents == {b"old", data, data[:SECTOR] + grown[SECTOR:], grown}

    def test_order(self) -> None:
        """The second of two writes may be there without the first."""
        contents = {dict(f)["file"] for f in left(Written(0, 0, b"a"), Written(0, 1, b"b"))}
        assert {b"old", b"ald", b"obd", b"abd"} <= contents

    def test_a_sync(self) -> None:
        """What was synced is there for certain; what came later is not."""
        steps = (Written(0, 0, b"a"), Synced(0), Written(0, 1, b"b"))
        assert {dict(files)["file"] for files in left(*steps)} == {b"ald", b"abd"}

    def test_a_rename_before_its_data(self) -> None:
        """A name may be there before the data that it is for, unless the data was synced."""
        steps = (Made(PART, 1), Written(1, 0, b"new"), Renamed(PART, FILE, 1))
        assert {dict(files).get("file") for files in left(*steps)} >= {b"old", b"", b"new"}
        safe = (*steps[:2], Synced(1), steps[2])
        assert {dict(files)["file"] for files in left(*safe)} == {b"old", b"new"}
        assert left(*safe, SyncedFolder(str(ROOT))) == {(("file", b"new"),)}

    def test_names(self) -> None:
        """A synced file has no name for certain, and a removed one may still have its own."""
        made = left(Made(PART, 1), Written(1, 0, b"new"), Synced(1), Released("it"))
        assert {dict(files).get("part") for files in made} == {None, b"new"}
        assert {dict(files).get("file") for files in left(Removed(FILE))} == {None, b"old"}
