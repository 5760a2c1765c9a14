"""What an end of ours has committed, and the journal that commits it.

A commit takes its time: meanwhile the process goes on, and what it does belongs to the next one.
What a commit lets out is called when it is durable, as with the journal of a database.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

if TYPE_CHECKING:
    from tests.simulation.dilation.ours import Ours


@frozen
class Saved:
    """Everything that one commit makes durable.

    Args:
        text: the wormhole's document and the application's rows, as JSON.
        rows: the rows.
        next_out: the number of the record that is written next.
        highest_in: the highest number that has come, or -1.
    """

    text: str = field(repr=False)
    rows: dict[str, Any]
    next_out: int
    highest_in: int

    @classmethod
    def of(cls, wormhole: dict[str, Any], rows: dict[str, Any]) -> Saved:
        """Take what is there now."""
        text = json.dumps({"wormhole": wormhole, "rows": rows})
        dilation = wormhole["dilation"]
        ledger = {"next_out": 0, "highest_in": -1}
        if dilation is not None:
            ledger = dilation["state"]["ledger"]
        copy = json.loads(json.dumps(rows))
        return cls(text, copy, ledger["next_out"], ledger["highest_in"])


@define(eq=False, repr=False)
class SlowJournal:
    """A journal whose commits take a while; see `holdfast_journal.IJournal`."""

    owner: Ours
    delay: Callable[[], float]
    """How long the next commit takes."""
    _depth: int = field(default=0, init=False)
    _queued: list[Callable[[], object]] = field(factory=list, init=False)
    _line: deque[tuple[Saved, list[Callable[[], object]]]] = field(factory=deque, init=False)
    _busy: bool = field(default=False, init=False)

    def process(self) -> AbstractContextManager[None]:
        return self

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if self._depth > 1:
            self._depth -= 1
            return
        calls, self._queued = self._queued, []
        try:
            if kind is None:
                self._line.append((self.owner.take(), calls))
                self._go_on()
        finally:
            self._depth = 0

    def queue_outbound(self, fn: Callable[..., object], *args: object, **kwargs: object) -> None:
        with self:
            self._queued.append(partial(fn, *args, **kwargs))

    def _go_on(self) -> None:
        if self._line and not self._busy:
            self._busy = True
            batch, self._line = self._line, deque()
            self.owner.reactor.callLater(self.delay(), self._commit, batch)

    def _commit(self, batch: deque[tuple[Saved, list[Callable[[], object]]]]) -> None:
        self.owner.commit(batch[-1][0])
        for _, calls in batch:
            for call in calls:
                call()
        self._busy = False
        self._go_on()
