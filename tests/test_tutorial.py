"""The tutorial works when it is pasted into a shell; and its story on a stock mailbox server."""

import os
import re
import socket
from pathlib import Path

import pytest

from tests.harness import quick
from tests.harness.process import BIN, Child, environment
from tests.harness.server import MailboxServer
from tests.harness.waiting import DEADLINE

pytestmark = pytest.mark.long

PAGE = Path(__file__).parent.parent / "docs" / "tutorial.md"

OURS = re.compile(r"^holdfast mailbox .*\n", re.MULTILINE)
"""The line that starts a server."""

THEIRS = "ws://127.0.0.1:4000/v1"
"""Where the page has it."""


def blocks() -> list[str]:
    """Return the shell blocks of the page, without the one that installs."""
    return re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def paste(script: str, folder: Path, *path: Path, **env: str) -> None:
    """Run it with these folders in PATH; see that every secret arrives, and the file."""
    found = ":".join(map(str, (*path, "/usr/bin", "/bin")))
    env = environment(HOME=str(folder), PATH=found, **env)
    with Child(["bash", "-c", f"set -eu\n{script}"], env=env, cwd=folder) as shell:
        finished = shell.wait(10 * DEADLINE)
    assert finished.status == 0, finished.out + finished.err
    for secret in ("hunter2", "correct horse battery staple", "enrolment-key-0042"):
        assert finished.out.count(secret) == 1
    assert finished.out.rstrip().count("3 flows: 3 done.") == 1
    assert "it is the same file" in finished.out


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    """Pasted block by block, every secret arrives, and the killed process loses nothing."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = str(reserved.getsockname()[1])
    paste("\n".join(blocks()).replace("4000", port), tmp_path, BIN)


def test_its_story_on_a_stock_server(tmp_path: Path) -> None:
    """Only the line that starts the server is another; all commands are as quick as forks are."""
    *story, end = blocks()
    script, ours = OURS.subn("", "\n".join(story))
    assert (ours, end) == (1, "kill %1\n")
    programs = quick.commands(tmp_path / "bin", [BIN / "holdfast", BIN / "wormhole"])
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    with MailboxServer(tmp_path) as server:
        script = script.replace(THEIRS, server.url)
        paste(script, tmp_path, programs, PYTEST_XDIST_TESTRUNUID=run)
        server.wait_until_empty()
