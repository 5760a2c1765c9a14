"""One line on standard error that is written again in place, on a terminal only."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from attrs import define, field
from rich.cells import cell_len

from holdfast.cli import say
from holdfast.cli.brief import narrowed


def in_foreground(stream: TextIO) -> bool:
    """Whether this process may write where the user of a terminal is typing.

    Not if the shell has started it with `&`, or continued it with `bg`.
    """
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except OSError:  # it is not the terminal of our session, which has no shell then
        return True


@define
class StatusLine:
    """What goes on, in the last line of the terminal; other lines go above it.

    A process in the background does not show it: there is the prompt of the shell.
    """

    _shown: str = field(default="", init=False)
    _width: int = field(default=0, init=False)

    @property
    def terminal(self) -> bool:
        """Whether there is a terminal: elsewhere no line can be written in place."""
        return say.is_text() and sys.stderr.isatty()

    @property
    def room(self) -> int:
        """How many columns a line may take: one that wraps could not be cleared again."""
        return say.terminal_columns(sys.stderr) - 3

    def tell(self, text: str) -> None:
        """As `show`, on a terminal; elsewhere nothing is said."""
        if self.terminal:
            self.show(text)

    def show(self, text: str) -> None:
        """Show this in place of what was shown before."""
        if text == self._shown:
            return
        self.clear()
        if not in_foreground(sys.stderr):
            return
        shown = narrowed(text, self.room)
        say.err(shown, end="")
        self._shown, self._width = text, cell_len(shown)
        say.stands_in_place(self.clear)

    def clear(self) -> None:
        """Show nothing."""
        if self.terminal and self._width:
            if in_foreground(sys.stderr):
                # Also clear the ^C that the terminal may have put after it.
                say.err("\r" + " " * (self._width + 2) + "\r", end="")
            self._shown, self._width = "", 0
            say.stands_in_place()

    def print(self, text: str) -> None:
        """Print a line that stays."""
        self.clear()
        say.err(text)
