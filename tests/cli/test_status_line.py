"""The line that is written again in place, on a real terminal with a shell's job control."""

import sys

import pytest

from tests.api.terminal import Terminal

PROGRAM = (
    "from holdfast.cli import say\n"
    "from holdfast.cli.status_line import StatusLine\n"
    "line = StatusLine()\n"
    "line.show('3 waiting')\n"
    "line.print('ann: collected')\n"
    "line.show('2 waiting')\n"
    "say.tell('cannot reach the server')\n"
    "line.show('1 waiting')\n"
    "line.clear()\n"
    "say.finish()\n"
)


@pytest.mark.parametrize(
    ("script", "drawn"), [('"$@"', True), ('set -m; "$@" & wait', False)], ids=["fg", "bg"]
)
def test_whose_terminal_it_is(script: str, drawn: bool) -> None:
    """In the foreground progress is drawn; in the background only what stays is printed."""
    with Terminal("/bin/sh", "-c", script, "sh", sys.executable, "-c", PROGRAM) as seen:
        seen.wait()
        seen.wait_for("ann: collected\r\n")
        assert ("waiting" in seen.shown) == drawn
        assert ("\r " in seen.shown) == drawn
        seen.wait_for(("\r" if drawn else "") + "holdfast: cannot reach the server\r\n")
