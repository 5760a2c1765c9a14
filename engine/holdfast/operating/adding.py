"""Starting flows and leaving them to the workers; and seeing their codes come."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from attrs import define, field

from holdfast.operating.codes_shown import note
from holdfast.operating.standing import live_code

if TYPE_CHECKING:
    from holdfast_journal import FlowRow, Seen, SqlJournal

LOOK_EVERY: Final = 0.2
"""Seconds between two looks for codes."""

PEOPLE_FILES: Final = (".csv", ".jsonl", ".ndjson")
"""How the name of a file with people ends, where a person's name could stand too."""


def is_people_file(given: str) -> bool:
    """Whether it is a file with people; otherwise it is one person's name.

    What files are there does not matter: names may come from strangers.
    """
    return given == "-" or given.lower().endswith(PEOPLE_FILES)


@define
class Codes:
    """The codes of some flows of a batch, as they come.

    Args:
        journal: where the flows are.
        batch: their batch.
        names: their names.
        seconds: for how long to wait at most.
        sleep, now: the clock, whose seconds never jump.
    """

    _journal: SqlJournal
    _batch: str
    _names: Collection[str]
    _seconds: float
    _sleep: Callable[[float], object] = time.sleep
    _now: Callable[[], float] = time.monotonic
    ended: dict[str, FlowRow] = field(factory=dict, init=False)
    """The flows that are over, and so have no code."""
    missing: set[str] = field(factory=set, init=False)
    """The names of those whose codes have not come."""

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield names and codes until all are there, all other flows are over, or time is.

        That the operator sees them is written down before.
        """
        seen: Seen | None = None
        until = self._now() + self._seconds
        self.missing = set(self._names)
        while True:
            changes = self._journal.poll(self._batch, seen, names=self._names)
            seen = changes.seen
            note(self._journal, self._about_to_show(changes.rows))
            for row in changes.rows:
                if row.name not in self.missing:
                    continue
                code = live_code(row)
                if code is not None:
                    self.missing.discard(row.name)
                    yield row.name, code
                elif row.finished_at is not None:
                    self.missing.discard(row.name)
                    self.ended[row.name] = row
            if not self.missing or self._now() >= until:
                return
            self._sleep(LOOK_EVERY)

    def _about_to_show(self, rows: Sequence[FlowRow]) -> list[int]:
        return [r.id for r in rows if r.name in self.missing and live_code(r) is not None]
