"""What `holdfast provision` shows while it runs and when it ends."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from holdfast.cli import say
from holdfast.cli.failure import Interrupted, Unfinished
from holdfast.cli.filing import Filing
from holdfast.cli.flow_news import status_and_reason, tell_flow
from holdfast.cli.guessing import Guessing
from holdfast.cli.pictures import Pictures
from holdfast.cli.status_line import StatusLine
from holdfast.cli.tables import counted
from holdfast.operating.codes_file import CodesFile
from holdfast.operating.letters import LettersOfCodes
from holdfast.operating.printable import printable
from holdfast.operating.service import Ending
from holdfast.operating.standing import live_code
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast_journal import FlowRow

LINE_EVERY = 5.0
"""Seconds between two lines of progress, if there is no terminal to show it in place."""

SHOWN_NAMES = 10
"""How many names of people who have not collected are listed at the end."""

NOT_SEEN = "not looked at yet"
"""The status that is counted for a person whose flow this command has not read."""


@frozen
class _Seen:
    """What is remembered of a person's flow; of 100,000, whole rows took 100 MB."""

    status: str
    batch: str
    is_over: bool

    @classmethod
    def of(cls, row: FlowRow) -> _Seen:
        """What a row says; the words are the same for many."""
        return cls(sys.intern(row.status), sys.intern(row.batch), row.finished_at is not None)


class Progress:
    """Prints codes and collections as they come, and counts.

    Args:
        names: all people, in the order of the people file.
        codes_file: where codes go instead of standard output.
        pictures: draws each code, if that is asked for.
        letters: writes the letters, if there are to be any.
        farewell: what is said once all codes are there.
    """

    def __init__(
        self,
        names: Sequence[str],
        codes_file: CodesFile | None,
        *,
        pictures: Pictures | None = None,
        letters: LettersOfCodes | None = None,
        farewell: Sequence[str] = (),
    ) -> None:
        self._seen: dict[str, _Seen] = {}
        self._statuses: Counter[str] = Counter()
        self._open = set(names)
        self._names = names
        self._wanted = frozenset(names)
        self._codes: dict[str, str] = {}
        self._codeless = set(names)
        self._filing = None if codes_file is None else Filing(codes_file)
        self._letters = letters
        self._lettering = None if letters is None else Filing(letters, "letters")
        self._farewell = farewell
        self._pictures = pictures
        self._guessing = Guessing()
        self._line = StatusLine()
        self._said = ""
        self._said_at = 0.0
        self._first = True

    def begin(self, existing: int, command: str | None = None) -> None:
        """Say how many flows are new, and how many this command continues.

        Args:
            existing: how many it continues.
            command: what recipients type, if the code alone is not enough.
        """
        new = len(self._names) - existing
        parts = [f"{new} started"] if new else []
        if existing:
            parts.append(f"{existing} started before")
        people = "1 person" if len(self._names) == 1 else f"{len(self._names)} people"
        self._line.print(f"{people}: {', '.join(parts)}.")
        if new and command is not None:
            self._line.print(f"Each of them collects with: {command}")

    def watch(self, moved: Sequence[FlowRow]) -> bool:
        """Show what has changed; return whether everything is over."""
        new_codes: dict[str, str] = {}
        lettered: dict[str, FlowRow] = {}
        for row in moved:
            if row.name not in self._wanted:
                continue
            before = self._seen.get(row.name)
            self._note(row)
            code = live_code(row)
            if code is not None and self._codes.get(row.name) != code:
                self._codes[row.name] = new_codes[row.name] = code
                lettered[row.name] = row
            if before is None or before.status != row.status:
                self._tell(row)
            if (news := self._guessing.news(row, is_first=before is None)) is not None:
                self._tell_flow(row, news)
        if new_codes:
            self._give(new_codes)
        if self._lettering is not None and lettered:
            self._lettering.add(lettered)
        self._say_farewell()
        self._first = False
        if self._open:  # otherwise `end` counts
            self._count()
        return not self._open

    def _note(self, row: FlowRow) -> None:
        """Count flows as they move: to count all of them at each look would take too long."""
        before = self._seen.get(row.name)
        if before is not None:
            self._statuses[before.status] -= 1
        self._seen[row.name] = _Seen.of(row)
        self._statuses[row.status] += 1
        if row.finished_at is not None or live_code(row) is not None:
            self._codeless.discard(row.name)
        if row.finished_at is None:
            self._open.add(row.name)
        else:
            self._open.discard(row.name)

    def _say_farewell(self) -> None:
        """Say once that all codes are there, unless there is nobody left to wait for."""
        if self._farewell and not self._codeless and self._open:
            for line in self._farewell:
                self._line.print(line)
            self._farewell = ()

    def finish_letters(self) -> None:
        """Wait until the letters are written, for which the journal must be open."""
        if self._lettering is not None:
            self._lettering.finish()

    def end(self, ending: Ending) -> None:
        """Say how the batch ended.

        Raises:
            Unfinished: not every person has collected.
            Interrupted: Ctrl-C.
        """
        if self._filing is not None:
            self._filing.finish()
        self._line.clear()
        finished = {name: seen for name, seen in self._seen.items() if seen.is_over}
        bad = [name for name, seen in finished.items() if seen.status != FlowStatus.DONE]
        # Counted from the people, not from what was seen: a flow that this command has not
        # looked at yet may not be over.
        open_ = len(self._names) - len(finished)
        self._tell_letters(finished)
        self._line.print(f"{counted(self._everybody())}.")
        if bad:
            names = ", ".join(printable(name, 40) for name in bad[:SHOWN_NAMES])
            more = f" and {len(bad) - SHOWN_NAMES} more" if len(bad) > SHOWN_NAMES else ""
            self._line.print(
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
            raise Unfinished(f"{len(bad)} of {len(self._names)} have not collected")

    def _tell_letters(self, finished: Mapping[str, _Seen]) -> None:
        """Say that letters of flows that are over are still there."""
        if self._letters is None:
            return
        letters = self._letters.letters
        left = sum(letters.path(seen.batch, name).exists() for name, seen in finished.items())
        if left:
            whose = (
                "The letter of a flow that is over is"
                if left == 1
                else (f"The letters of {left} flows that are over are")
            )
            self._line.print(f"{whose} left in {letters.name}.")

    def _everybody(self) -> Counter[str]:
        """Count the statuses of all people, also of those whose flow was not seen yet."""
        return self._statuses + Counter({NOT_SEEN: len(self._names) - len(self._seen)})

    def _tell(self, row: FlowRow) -> None:
        if row.status == FlowStatus.DONE and not self._first:
            self._tell_flow(row, "collected")
        elif row.finished_at is not None and row.status != FlowStatus.DONE:
            self._tell_flow(row, status_and_reason(row))

    def _tell_flow(self, row: FlowRow, what: str) -> None:
        self._line.clear()
        tell_flow(row, f"{printable(row.name)}: {what}")

    def _give(self, codes: dict[str, str]) -> None:
        if self._filing is not None:
            self._filing.add(codes)
        for name, code in codes.items():
            if self._filing is None:
                self._line.clear()
                say.out(f"{printable(name)}\t{code}")
            if self._pictures is not None:
                self._line.clear()
                say.out(self._pictures.of(name, code))

    def _count(self) -> None:
        text = counted(self._everybody())
        if say.error_is_behind():
            return
        now = time.monotonic()
        if self._line.terminal:
            self._line.show(text)
        elif text != self._said and now - self._said_at >= LINE_EVERY:
            keys = {"people": len(self._names), "open": len(self._open)}
            say.log("progress", text, keys=keys)
            self._said, self._said_at = text, now
