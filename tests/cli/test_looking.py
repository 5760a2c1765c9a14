"""Commands that only look change and make nothing, and work where nothing can be written."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.journals import failed, move, open_at, run, start

LOOKS: Sequence[Sequence[str]] = [
    ("status",),
    ("status", "--json"),
    ("status", "bob"),  # who has no code
    ("log", "ann"),
    ("tasks",),
    ("workers",),
    ("batches", "--json"),
    ("doctor",),
    ("db", "check"),
    ("key", "list"),
    ("purge", "--dry-run", "--older-than", "1s"),
]


@pytest.fixture(params=["backup", "killed", "copied"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A database in which ann waits and bob is done.

    A backup of it; what a process leaves that is killed; and a copy of that which was made by hand,
    without the index of its log.
    """
    served, left = tmp_path / "served", tmp_path / "left"
    served.mkdir()
    journal = open_at(served / "holdfast.db")
    flows = start(journal, "ann", "bob")
    move(flows["ann"], "waiting", code="1-ann-code")
    move(flows["bob"], "done", finished=True)
    if request.param == "backup":
        journal.close()
    subprocess.run(["cp", "-a", served, left], check=True)
    journal.close()
    if request.param == "copied":
        (left / "holdfast.db-shm").unlink()
    assert (left / "holdfast.db-wal").exists() == (request.param != "backup")
    return left / "holdfast.db"


def state(folder: Path) -> object:
    """What is in a folder, whose it is, and when it was changed.

    The index of a log is what readers share while they look.
    """
    return folder.stat().st_mtime_ns, {
        each.name: (each.stat().st_uid, each.stat().st_gid)
        + (() if each.name.endswith("-shm") else (each.read_bytes(), each.stat().st_mtime_ns))
        for each in folder.iterdir()
    }


def looks(path: Path) -> str:
    """Run every command that only looks; how each ended, and something of what it said."""
    said = []
    for command in LOOKS:
        result = run(path, *command)
        assert result.exception is None or isinstance(result.exception, SystemExit), command
        said.append(f"{' '.join(command)}: {result.exit_code}, {'ann' in result.stdout}")
        if result.exit_code not in (0, 1):
            said.append(result.output)
    return "\n".join(said)


def hides(path: Path) -> None:
    """See that a code is not shown where that cannot be written down, but all else is."""
    result = run(path, "status", "ann")
    assert result.exit_code == 0
    assert "waiting" in result.stdout
    assert "1-ann-code" not in result.output
    assert "no code is shown, because that cannot be written down" in result.stderr
    failed(run(path, "status", "--codes"), "no code is shown")


# `doctor` ends with 1, since ann is on her own: nobody serves her flow.
AS_IT_IS = """\
status: 0, True
status --json: 0, True
status bob: 0, False
log ann: 0, False
tasks: 0, False
workers: 0, False
batches --json: 0, False
doctor: 1, True
db check: 0, False
key list: 0, False
purge --dry-run --older-than 1s: 0, False"""


def test_nothing_is_changed_or_made(path: Path) -> None:
    """Not a byte, not a time, not a file beside it."""
    before = state(path.parent)
    assert looks(path) == AS_IT_IS
    assert state(path.parent) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root looks at what is somebody else's")
def test_root_leaves_another_users_files(path: Path) -> None:
    """What root looks at stays the service's, and nothing is there that the service cannot open."""
    for each in (path.parent, *path.parent.iterdir()):
        os.chown(each, 12345, 12345)
    before = state(path.parent)
    assert looks(path) == AS_IT_IS
    assert state(path.parent) == before


@pytest.mark.long
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="only root can mount"
)
def test_a_file_system_that_is_read_only(path: Path, tmp_path: Path) -> None:
    """A snapshot, or the disk of a machine that is being saved, can be looked at."""
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    steps = (
        'mount -t tmpfs none "$1" || exit 77; cp -a "$0"/. "$1"; mount -o remount,ro "$1";'
        ' touch "$1/x" 2>/dev/null && exit 1; exec "$2" -c "$3" "$1"/holdfast.db'
    )
    program = (
        "import sys; from pathlib import Path; from tests.cli.test_looking import looks, hides\n"
        "print(looks(Path(sys.argv[1]))); hides(Path(sys.argv[1]))"
    )
    shell = ["unshare", "-m", "sh", "-c", steps, path.parent, mounted, sys.executable, program]
    ended = subprocess.run(shell, capture_output=True, text=True, check=False)
    if ended.returncode == 77 or "unshare" in ended.stderr:
        pytest.skip("this root cannot mount")
    assert ended.stdout == AS_IT_IS + "\n", ended.stderr
