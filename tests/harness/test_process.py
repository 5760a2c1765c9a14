"""Children are killed when and as wholly as the tests believe."""

import os
import sys
from pathlib import Path

import pytest

from tests.harness import reactor
from tests.harness.process import Child
from tests.harness.waiting import until


def test_kill9_takes_the_whole_group() -> None:
    """With a killed process its own children are gone too, as after a power cut."""
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with Child([sys.executable, "-c", program]) as child:
        grandchild = int(child.wait_for(r"^(\d+)\n")[1])
        assert child.kill9().status == -9

        def gone() -> bool:
            # Nobody may be there to reap it, so a zombie counts as gone.
            try:
                return ") Z " in Path(f"/proc/{grandchild}/stat").read_text()
            except FileNotFoundError:
                return True

        until(gone, "the grandchild's end")


def test_nothing_of_the_developers_settings_reaches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database or server that the developer has set does not leak into a test."""
    monkeypatch.setenv("HOLDFAST_DB", "sqlite:////the/real/one")
    monkeypatch.setenv("WORMHOLE_RELAY_URL", "ws://real.example/v1")
    with Child([sys.executable, "-c", "import os; print(sorted(os.environ))"]) as child:
        said = child.wait().out
    assert "HOLDFAST_" not in said
    assert "WORMHOLE_" not in said


def test_the_reactor_notices_the_end_of_its_children() -> None:
    """A child that Twisted spawned in the reactor's thread is reaped, pipes or no pipes."""
    from twisted.internet.defer import Deferred
    from twisted.internet.protocol import ProcessProtocol

    class Ends(ProcessProtocol):
        def __init__(self) -> None:
            self.ended: Deferred[int] = Deferred()

        def processEnded(self, reason) -> None:
            self.ended.callback(reason.value.exitCode)

    async def spawn() -> int:
        from twisted.internet import reactor

        ends = Ends()
        # It closes its pipes long before it ends, so nothing but SIGCHLD tells.
        words = [sys.executable, "-c", "import os; os.closerange(0, 3); os._exit(7)"]
        reactor.spawnProcess(ends, sys.executable, words, env=os.environ)
        return await ends.ended

    for _ in range(5):
        assert reactor.run(spawn) == 7
