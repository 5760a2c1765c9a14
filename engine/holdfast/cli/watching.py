"""Showing something again and again on a terminal, until Ctrl-C."""

import sys
import time
from collections.abc import Callable

from holdfast.cli import say
from holdfast.cli.failure import Failure

EVERY = 2.0
"""Seconds between two looks."""

_CLEAR = "\x1b[H\x1b[2J"
"""Home, and nothing on the screen."""


def check_terminal() -> None:
    """Refuse to watch where nothing can be written in place."""
    if not sys.stdout.isatty():
        raise Failure("--watch needs a terminal; without it the command shows what is there now")


def watch(show: Callable[[], object]) -> None:
    """Show it, clear the screen, and show it again. Raises what `show` raises."""
    try:
        while True:
            sys.stdout.write(_CLEAR)
            show()
            sys.stdout.flush()
            time.sleep(EVERY)
    except KeyboardInterrupt:
        say.out("")  # after the ^C


def rows_of_a_screen(beside: int) -> int:
    """Return how many rows of a table a screen holds, with so many lines beside them."""
    return max(say.terminal_lines(sys.stdout) - beside, 1)
