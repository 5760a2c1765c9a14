"""A program that starts as a fork is what it would be with an interpreter of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import forks
from tests.harness.process import BIN, Child, environment
from tests.harness.waiting import until

pytestmark = pytest.mark.long

DESCRIBE = """
import json, os, resource, signal, sys
streams = [getattr(sys, name) for name in ("stdin", "stdout", "stderr")]
mask = os.umask(0)
print(json.dumps({
    "name": __name__,
    "file": globals().get("__file__"),
    "main": sys.modules["__main__"].json is json,
    "arguments": [sys.argv, sys.orig_argv[1:], sys.path, sys.executable],
    "environment": sorted(os.environ.items()),
    "folder": os.getcwd(),
    "descriptors": sorted(each for each in os.listdir("/proc/self/fd") if int(each) < 100),
    "leads": [os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()],
    "umask": mask,
    "signals": [str(signal.getsignal(each)) for each in signal.valid_signals()],
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "wakeup": signal.set_wakeup_fd(-1),
    "limits": [resource.getrlimit(each) for each in range(8)],
    "flags": str(sys.flags),
    "streams": [
        [each.name, each.mode, each.encoding, each.errors, each.line_buffering, each.write_through]
        for each in streams
    ],
    "reactor": "twisted.internet.reactor" in sys.modules,
}))
"""


@pytest.mark.parametrize(("how", "unbuffered"), [("-c", "1"), ("a script", "")])
def test_a_fork_is_not_different(tmp_path: Path, how: str, unbuffered: str) -> None:
    """Arguments, environment, streams, signals, limits: all is the same."""
    script = tmp_path / "describe.py"
    script.write_text(DESCRIBE)
    program = [script] if how == "a script" else ["-c", DESCRIBE]
    words = [sys.executable, *program, "--one", "two words"]
    ours = {"HOME": str(tmp_path), "TZ": "Asia/Kolkata", "PYTHONUNBUFFERED": unbuffered}
    env = environment(**ours, HOLDFAST_DB="somewhere")
    said = []
    for fresh in (False, True):
        with Child(words, env=env, cwd=tmp_path, fresh=fresh) as child:
            ended = child.wait()
        assert (ended.status, ended.err) == (0, "")
        said.append(json.loads(ended.out))
    assert said[0] == said[1]


@pytest.mark.parametrize(
    "program",
    [
        *("pass", "import sys; sys.exit(3)", "raise SystemExit", "import sys; sys.exit('bye')"),
        *("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "raise KeyboardInterrupt"),
        *("1 / 0", "import os; os._exit(7)", "import sys; sys.exit(-1)"),
        "import atexit; atexit.register(print, 'last'); print('first')",
        "import threading; threading.Timer(0.05, print, ['of a thread']).start()",
    ],
)
def test_it_ends_the_same_way(program: str) -> None:
    """Its status is the same, and so is the last thing that it says."""
    ends = []
    for fresh in (False, True):
        with Child([sys.executable, "-c", program], fresh=fresh) as child:
            ended = child.wait()
        ends.append((ended.status, ended.out, ended.err.splitlines()[-1:]))
    assert ends[0] == ends[1]


def test_streams_that_a_module_took_when_it_was_imported() -> None:
    """The stock client prints to them; nothing is lost, and all comes in its order."""
    program = (
        "import sys; from wormhole.cli import cli; print('one', file=cli.stdout); print('two');"
        " print('three', file=cli.stdout); assert cli.stdout is sys.stdout"
    )
    env = environment() | {"PYTHONUNBUFFERED": ""}
    for fresh in (False, True):
        with Child([sys.executable, "-c", program], env=env, fresh=fresh) as child:
            ended = child.wait()
        assert (ended.status, ended.out, ended.err) == (0, "one\ntwo\nthree\n", "")


def test_output_that_cannot_be_written_at_the_end() -> None:
    """The interpreter's own status for that, 120, and its words."""
    env = environment() | {"PYTHONUNBUFFERED": ""}
    words = [sys.executable, "-c", "import sys; sys.stdout.write('too late')"]
    with Path("/dev/full").open("wb") as full:
        ran = forks.start(words, env=env, stdout=full.fileno())
    assert ran.stderr is not None
    with ran.stderr:
        assert b"No space left on device" in ran.stderr.read()
    assert ran.wait() == 120


def test_two_forks_draw_different_numbers() -> None:
    """Nobody has the other's random numbers."""
    program = "import random, secrets, os; print(random.random(), secrets.token_hex(), os.getpid())"
    words = [sys.executable, "-c", f"import nacl.utils; {program}; print(nacl.utils.random(8))"]
    said = []
    for _ in range(2):
        with Child(words) as child:
            said.append(child.wait().out.split())
    assert not set(said[0]) & set(said[1])


def test_what_can_be_a_fork() -> None:
    """Programs of this environment, unless the interpreter is told something first."""
    assert forks._arguments([str(BIN / "holdfast"), "status"]) == [str(BIN / "holdfast"), "status"]
    assert forks._arguments([sys.executable, "-c", "pass"]) == ["-c", "pass"]
    assert forks._arguments([sys.executable, "-m", "holdfast"]) is None
    assert forks._arguments([sys.executable]) is None
    assert forks._arguments(["/bin/sh", "-c", "true"]) is None


OUTLIVED = """
import subprocess, sys, time
from tests.harness.process import Child
child = Child([sys.executable, "-c", "import time; print('there', flush=True); time.sleep(600)"])
child.wait_for("there")
print(child.pid, flush=True)
time.sleep(600)
"""


def test_nobody_outlives_the_tests() -> None:
    """If the process of the tests is killed, what it has started is too."""
    top = Path(__file__).parents[2]
    with Child([sys.executable, "-c", OUTLIVED], cwd=top, fresh=True) as tests:
        left = Path("/proc") / tests.wait_for(r"^(\d+)$")[1]
        assert left.exists()
        os.kill(tests.pid, 9)
        until(lambda: not left.exists(), "the end of what it started")


def test_a_deadline() -> None:
    """Waiting for one that goes on gives up, as `subprocess` does."""
    with Child([sys.executable, "-c", "import time; time.sleep(600)"]) as child:
        assert child.status() is None
        assert child.status(0.01) is None
        with pytest.raises(subprocess.TimeoutExpired):
            child._process.wait(0.01)
        assert child.alive
        assert child.kill9().status == -9
