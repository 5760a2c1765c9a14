"""What `holdfast receive` hands to its user: a text, or where a file or folder is now.

These are the tasks "print" and "show-path" of `holdfast.flows.shipped.receive`. Only the receiving
command has its user's standard output, so only it registers them.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from attrs import define, field

from holdfast.cli import say
from holdfast.cli.status_line import StatusLine
from holdfast.operating.printable import printable
from holdfast.transfer.names import shown

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from holdfast.flows.tasks import Call

READING: Final = 20 * 86_400.0
"""Seconds that the reader of standard output may take before it is printed again."""


@define(eq=False)
class HandingOver:
    """What becomes of it.

    If it cannot be printed, the task stays undone, and the next process that receives with this
    code does it.

    Args:
        status: the line that must not be in the way.
        exact: whether a text goes into a pipe or file without a line end of ours.
        quiet: whether standard output is for texts only.
    """

    status: StatusLine
    exact: bool
    quiet: bool
    problem: str | None = field(default=None, init=False)
    """Why it could not be printed, in words."""
    told: bool = field(default=False, init=False)
    """Whether the user was told where a file or folder is."""

    def register(self) -> None:
        """Register the tasks."""
        from holdfast.flows.tasks import task

        task("print", tries=1_000_000, timeout=READING)(self.print_text)
        task("show-path", tries=1_000_000, timeout=READING)(self.show_path)

    def print_text(self, call: Call) -> Deferred[None]:
        """Print a text."""
        self.status.clear()
        ends = "" if self.exact and not sys.stdout.isatty() else "\n"
        return self._print(call, as_shown(call.arguments["text"] + ends), "the text is here")

    def show_path(self, call: Call) -> Deferred[None] | None:
        """Say where a file or folder is; in a pipe the path alone."""
        path = call.arguments["path"]
        self.status.print(f"received: {shown(path)}")
        if not call.arguments["confirmed"]:
            self.status.print("holdfast: the sender could not be told that it has arrived")
        self.told = True
        if self.quiet or sys.stdout.isatty():
            return None
        return self._print(call, os.fsencode(path) + b"\n", f"{shown(path)} is complete")

    def _print(self, call: Call, data: bytes, what: str) -> Deferred[None]:
        from twisted.internet.defer import Deferred

        printed: Deferred[None] = Deferred()

        def done(error: OSError | None) -> None:
            if error is None:
                call.reactor.callFromThread(printed.callback, None)
            else:
                why = error.strerror or type(error).__name__
                self.problem = (
                    f"{what}, but standard output cannot be written: {why}; nothing is lost: start"
                    " the same command again to continue"
                )

        say.deliver(data, done)
        return printed


def as_shown(text: str) -> bytes:
    """Return the bytes for standard output: in a pipe or file the text itself, in UTF-8."""
    if not sys.stdout.isatty():
        return text.encode("utf-8", "surrogatepass")
    # The sender must not control the terminal.
    lines = "\n".join(printable(line, len(line)) for line in text.split("\n"))
    return lines.encode(sys.stdout.encoding, "backslashreplace")
