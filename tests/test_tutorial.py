"""The tutorial works when it is pasted into a shell."""

import re
import socket
import subprocess
from pathlib import Path

from tests.harness.process import BIN, environment

PAGE = Path(__file__).parent.parent / "docs" / "tutorial.md"


def blocks() -> list[str]:
    """Return the shell blocks of the page, without the one that installs."""
    return re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    """Pasted block by block, every secret arrives, and the killed process loses nothing."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = str(reserved.getsockname()[1])
    script = "set -eu\n" + "\n".join(blocks()).replace("4000", port)
    env = environment(HOME=str(tmp_path), PATH=f"{BIN}:/usr/bin:/bin")
    finished = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    for secret in ("hunter2", "correct horse battery staple", "enrolment-key-0042"):
        assert finished.stdout.count(secret) == 1
    assert finished.stdout.rstrip().count("3 flows: 3 done.") == 1
