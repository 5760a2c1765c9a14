"""What a command that gives out one code shows while its flow runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from holdfast.cli import say
from holdfast.cli.failure import Unfinished
from holdfast.cli.guessing import Guessing
from holdfast.operating.standing import live_code

if TYPE_CHECKING:
    from holdfast.cli.pictures import Pictures
    from holdfast.cli.question import Question
    from holdfast.cli.transfers import Transfer
    from holdfast_journal import FlowRow


class SendWatcher:
    """Prints the code once, shows how a file moves, and notices the end.

    Args:
        name: the flow's.
        question: what may be asked meanwhile.
        transfer: shows how a file moves; None for a text.
        other_end: returns the command for the other computer, which has the code in it.
        pictures: shows codes as pictures, if that was asked for.
    """

    def __init__(
        self,
        name: str,
        question: Question,
        transfer: Transfer | None,
        other_end: Callable[[str], str],
        pictures: Pictures | None = None,
    ) -> None:
        self.row: FlowRow | None = None
        self._name = name
        self._question = question
        self._transfer = transfer
        self._other_end = other_end
        self._pictures = pictures
        self._shown: str | None = None
        self._guessing = Guessing()

    def watch(self, moved: Sequence[FlowRow]) -> bool:
        """Hear which flows have moved; return whether it is over.

        Raises Unfinished if nobody answers a question.
        """
        if self._question.unanswered is not None:
            raise Unfinished(self._question.unanswered)
        for row in moved:
            if row.name != self._name:
                continue
            before, self.row = self.row, row
            if (news := self._guessing.news(row, first=before is None)) is not None:
                self.end()
                say.err(news)
            code = live_code(row)
            if code is not None and code != self._shown:
                self._shown = code
                if self._question.is_open and sys.stdout.isatty():
                    continue  # nothing belongs below it, and the other side has the code already
                self.end()
                say.out(code)
                if self._pictures is not None:
                    say.out(self._pictures.of(row.name, code))
                say.err(f"on the other computer: {self._other_end(code)}")
        if self._transfer is not None and self.row is not None:
            self._transfer.show(self.row, time.monotonic())
        return self.row is not None and self.row.finished_at is not None

    def end(self) -> None:
        """Leave nothing unfinished on the screen."""
        if self._transfer is not None:
            self._transfer.status.clear()
