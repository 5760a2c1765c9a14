"""The limit of open files."""

import re
import resource
import socket
import sys
from pathlib import Path

import pytest

from holdfast.operating.limits import RESERVE, connections_at_most, raise_open_files_limit
from tests.harness.process import Child, environment


def test_the_soft_limit_becomes_the_hard_one() -> None:
    """A process may open as many files as the system lets it, and asking twice is harmless."""
    soft, hard = before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        raise_open_files_limit()
        raise_open_files_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(("limit", "reserve"), [(1024, RESERVE), (64, 16)])
def test_no_more_connections_than_files(limit: int, reserve: int) -> None:
    """What is open already, and what else will be, is not for connections."""
    _, hard = before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        most = connections_at_most()
        with socket.socket():
            fewer = connections_at_most()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert most is not None and 0 < most < limit - reserve
    assert fewer == most - 1


def test_a_command_that_is_given_more(tmp_path: Path) -> None:
    """It says how many it takes, and takes them."""
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))"
    words = [sys.executable, "-c", f"{few}; from holdfast.cli.main import main; main()"]
    env = environment(HOLDFAST_DB=f"sqlite:///{tmp_path / 'j.db'}")
    with Child([*words, "run", "--connections", "1200", "--for", "1s"], env=env) as child:
        ended = child.wait()
    assert ended.status == 0
    [line] = [line for line in ended.err.splitlines() if "--connections" in line]
    found = re.fullmatch(r"holdfast: --connections is (\d+) here, not 1200: .*ulimit -n.*", line)
    assert found is not None and 100 < int(found.group(1)) < 225
