"""The command as a process: its streams, its exit statuses, and no tracebacks.

Both ways to call it, and the end that a signal makes, are tried with interpreters of their own.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.journals import open_at, start
from tests.harness import forks
from tests.harness.process import Child

COMMANDS = {
    "module": [sys.executable, "-m", "holdfast"],
    "script": [str(Path(sys.executable).with_name("holdfast"))],
}


def environment(database: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST")}
    return {**kept, "HOLDFAST_DB": str(database)}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with one flow."""
    path = tmp_path / "holdfast.db"
    journal = open_at(path)
    start(journal, "ann")
    journal.close()
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_both_ways_to_call_it(database: Path, command: str) -> None:
    """The console script and the module do the same, and colour nothing in a pipe."""
    ran = subprocess.run(
        [*COMMANDS[command], "status"], env=environment(database), capture_output=True, check=True
    )
    assert b"ann" in ran.stdout
    assert b"\x1b" not in ran.stdout
    assert ran.stderr == b""


@pytest.mark.parametrize("args", [["status", "eve"], ["status", "--db", "x://"], ["nonsense"]])
def test_errors_are_one_line(database: Path, args: list[str]) -> None:
    """Status 2, one line on standard error, nothing on standard output."""
    with Child([*COMMANDS["script"], *args], env=environment(database)) as child:
        ended = child.wait()
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("holdfast: ")
    assert ended.err.count("\n") == 1


def test_a_reader_who_goes_away(database: Path) -> None:
    """`holdfast status | true` says nothing about its broken pipe."""
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run(
        [*COMMANDS["module"], "status"],
        env=environment(database),
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (128 + signal.SIGPIPE, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("args", [["status"], ["doctor"], ["--help"]])
def test_a_full_disk(database: Path, args: list[str]) -> None:
    """Output that cannot be written is one line and status 1."""
    with Path("/dev/full").open("w") as full:
        words = [*COMMANDS["script"], *args]
        ran = forks.start(words, env=environment(database), stdout=full.fileno())
    assert ran.stderr is not None
    with ran.stderr:
        said = ran.stderr.read()
    assert (ran.wait(), said) == (1, b"holdfast: standard output: No space left on device\n")
