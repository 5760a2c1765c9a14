"""Commands that serve begin again with a heap of large pages; others, and who decided, do not."""

import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.cli import large_pages
from tests.harness.process import environment
from tests.harness.server import MailboxServer
from tests.harness.waiting import until

HAS_THEM = large_pages.has_them()


@pytest.mark.skipif(not HAS_THEM, reason="the system gives no large pages")
def test_a_server_has_large_pages(tmp_path: Path) -> None:
    """As the kernel counts them."""

    def large() -> int:
        lines = Path(f"/proc/{server.pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("AnonHugePages:"))

    with MailboxServer(tmp_path, keep="1d", fresh=True) as server:
        until(lambda: large() > 0, "a large page")


PROGRAM = f"""#!{sys.executable} -Xutf8
import os, sys
from pathlib import Path
from holdfast.cli.large_pages import begin_again

Path("began").open("a").write("once\\n")
begin_again(sys.argv[1:])
names = {{"PYTHONMALLOC", "GLIBC_TUNABLES", "_HOLDFAST_BEGAN_AGAIN"}} & os.environ.keys()
print(Path("/proc/self/comm").read_text(), end="")
print(os.getpid(), sys.argv[1:], sys.flags.utf8_mode, sorted(names))
"""


@pytest.mark.skipif(not HAS_THEM, reason="the system gives no large pages")
@pytest.mark.parametrize(
    ("word", "environ", "times", "names"),
    [
        ("run", {}, 2, []),
        ("mailbox", {}, 2, []),
        ("receive", {}, 1, []),
        ("status", {}, 1, []),
        ("run", {"PYTHONMALLOC": "default"}, 1, ["PYTHONMALLOC"]),
        ("run", {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}, 1, ["GLIBC_TUNABLES"]),
    ],
)
def test_who_begins_again(
    word: str, environ: dict[str, str], times: int, names: list[str], tmp_path: Path
) -> None:
    """Under the same number, with the same words, and with the environment that it had."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    program.chmod(0o700)
    words = [program, word, "--batch", "a b"]
    child = subprocess.Popen(
        words, cwd=tmp_path, env=environment(**environ), stdout=subprocess.PIPE, text=True
    )
    said, _ = child.communicate()
    assert said == f"program.py\n{child.pid} {[word, '--batch', 'a b']} 1 {names}\n"
    assert (tmp_path / "began").read_text() == "once\n" * times


def test_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """`holdfast` alone shows its help."""
    monkeypatch.setattr("os.execve", pytest.fail)
    large_pages.begin_again([])


def test_a_system_without_them(tmp_path: Path) -> None:
    """It says so, or says nothing."""
    setting = tmp_path / "enabled"
    assert not large_pages.has_them(setting)
    setting.write_text("always madvise [never]\n")
    assert not large_pages.has_them(setting)
