"""How the people of a batch stand, counted as their flows move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from sys import intern
from typing import TYPE_CHECKING

from attrs import define, field

from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast_journal import FlowRow

NOT_SEEN = "not looked at yet"
"""The status that is counted for a person whose flow this command has not read."""


@define(eq=False)
class Tally:
    """Remembers of each person the status alone: there may be a hundred thousand of them.

    Args:
        names: everybody.
    """

    names: Collection[str]
    _wanted: frozenset[str] = field(init=False, repr=False)
    _statuses: dict[str, str] = field(factory=dict, init=False, repr=False)
    _counts: Counter[str] = field(factory=Counter, init=False)
    _open: set[str] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._wanted = frozenset(self.names)
        self._open = set(self.names)

    @property
    def open(self) -> int:
        """How many have not collected, and still may; whoever was not seen among them."""
        return len(self._open)

    @property
    def finished(self) -> list[str]:
        """Those whose flow is over, in the order in which they were first seen."""
        return [name for name in self._statuses if name not in self._open]

    @property
    def failed(self) -> list[str]:
        """Those of them who have not collected."""
        return [name for name in self.finished if self._statuses[name] != FlowStatus.DONE]

    @property
    def counts(self) -> Counter[str]:
        """How many have each status."""
        return self._counts + Counter({NOT_SEEN: len(self.names) - len(self._statuses)})

    def has(self, name: str) -> bool:
        """Whether this is one of them; the batch may have others."""
        return name in self._wanted

    def status(self, name: str) -> str | None:
        """The status that somebody had when last seen; None before that."""
        return self._statuses.get(name)

    def note(self, row: FlowRow) -> None:
        """Count a flow that has moved: to count all of them at each look would take too long."""
        before = self._statuses.get(row.name)
        if before is not None:
            self._counts[before] -= 1
        self._statuses[row.name] = intern(row.status)
        self._counts[row.status] += 1
        if row.finished_at is None:
            self._open.add(row.name)
        else:
            self._open.discard(row.name)
