"""What `holdfast provision` shows while it runs and when it ends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import define, field

from holdfast.cli import say
from holdfast.cli.brief import counted
from holdfast.cli.codes_given import CodesGiven
from holdfast.cli.failure import Interrupted, Unfinished
from holdfast.cli.flow_news import status_and_reason, tell_flow
from holdfast.cli.guessing import Guessing
from holdfast.cli.status_line import StatusLine
from holdfast.cli.tally import Tally
from holdfast.operating.ending import Ending
from holdfast.operating.printable import printable
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast_journal import FlowRow

LINE_EVERY = 5.0
"""Seconds between two lines of progress, if there is no terminal to show it in place."""

SHOWN_NAMES = 10
"""How many names of people who have not collected are listed at the end."""


@define(eq=False)
class Progress:
    """Prints codes and collections as they come, and counts.

    Args:
        names: all people, in the order of the people file.
        line: the line in which the counts are shown.
        codes: gives out the codes.
        farewell: what is said once all codes are there.
    """

    names: Sequence[str]
    line: StatusLine
    codes: CodesGiven
    farewell: Sequence[str] = ()
    _tally: Tally = field(init=False)
    _guessing: Guessing = field(factory=Guessing, init=False)
    _said: str = field(default="", init=False)
    _said_at: float = field(default=0.0, init=False)
    _first: bool = field(default=True, init=False)

    def __attrs_post_init__(self) -> None:
        self._tally = Tally(self.names)

    def begin(self, existing: int, command: str | None = None) -> None:
        """Say how many flows are new, and how many this command continues.

        Args:
            existing: how many it continues.
            command: what recipients type, if the code alone is not enough.
        """
        new = len(self.names) - existing
        parts = [f"{new} started"] if new else []
        if existing:
            parts.append(f"{existing} started before")
        people = "1 person" if len(self.names) == 1 else f"{len(self.names)} people"
        self.line.print(f"{people}: {', '.join(parts)}.")
        if new and command is not None:
            self.line.print(f"Each of them collects with: {command}")

    def watch(self, moved: Sequence[FlowRow]) -> bool:
        """Show what has changed; return whether everything is over."""
        ours = [row for row in moved if self._tally.has(row.name)]
        for row in ours:
            before = self._tally.status(row.name)
            self._tally.note(row)
            if before != row.status:
                self._tell(row)
            if (news := self._guessing.news(row, first=before is None)) is not None:
                self._tell_flow(row, news)
        self.codes.give(ours)
        self._say_farewell()
        self._first = False
        if self._tally.open:  # otherwise `end` counts
            self._count()
        return not self._tally.open

    def _say_farewell(self) -> None:
        """Say once that all codes are there, unless there is nobody left to wait for."""
        if self.farewell and self.codes.all_there and self._tally.open:
            for line in self.farewell:
                self.line.print(line)
            self.farewell = ()

    def end(self, ending: Ending) -> None:
        """Say how the batch ended.

        Raises:
            Unfinished: not every person has collected.
            Interrupted: Ctrl-C.
        """
        self.codes.finish_codes()
        self.line.clear()
        bad, open_ = self._tally.failed, self._tally.open
        self.codes.tell_of_letters(self._tally.finished)
        self.line.print(f"{counted(self._tally.counts)}.")
        if bad:
            names = ", ".join(printable(name, 40) for name in bad[:SHOWN_NAMES])
            more = f" and {len(bad) - SHOWN_NAMES} more" if len(bad) > SHOWN_NAMES else ""
            self.line.print(
                f"Not collected: {names}{more}. 'holdfast retry NAME' gives a new code."
            )
        if ending is Ending.SIGNAL:
            raise Interrupted(
                "stopped; nothing is lost, and the codes stay good: start the same command again,"
                " or 'holdfast run', to continue"
            )
        if open_:
            raise Unfinished(
                f"the time is over, and {open_} have not collected; start the same command"
                " again, or 'holdfast run', to continue"
            )
        if bad:
            raise Unfinished(f"{len(bad)} of {len(self.names)} have not collected")

    def _tell(self, row: FlowRow) -> None:
        if row.status == FlowStatus.DONE and not self._first:
            self._tell_flow(row, "collected")
        elif row.finished_at is not None and row.status != FlowStatus.DONE:
            self._tell_flow(row, status_and_reason(row))

    def _tell_flow(self, row: FlowRow, what: str) -> None:
        self.line.clear()
        tell_flow(row, f"{printable(row.name)}: {what}")

    def _count(self) -> None:
        text = counted(self._tally.counts)
        if say.error_is_behind():
            return
        now = time.monotonic()
        if self.line.terminal:
            self.line.show(text)
        elif text != self._said and now - self._said_at >= LINE_EVERY:
            keys = {"people": len(self.names), "open": self._tally.open}
            say.log("progress", text, keys=keys)
            self._said, self._said_at = text, now
