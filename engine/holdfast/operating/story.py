"""What happened to a flow, as a story in the words of the job, made of the entries of its journal.

An entry tells what passed over a wire; a step tells what that meant: the code was made, the
recipient came, the code was right. Most entries mean nothing by themselves, and are no step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attrs import define, field

from holdfast.operating.story_words import Mood, Step
from holdfast.operating.storyteller import Storyteller

if TYPE_CHECKING:
    from holdfast_journal import EntryRow, FlowRow, SqlJournal

__all__ = ["Mood", "Step", "Story"]


@define
class Story:
    """A flow's story, told as far as it goes, and continued later.

    Args:
        journal: where the flow is; every call reads there, and blocks for that.
        flow: the flow, as it stood at any time.
    """

    _journal: SqlJournal
    _flow: FlowRow
    _teller: Storyteller = field(init=False)
    _seq: int = field(default=0, init=False)
    """The last entry that was told."""

    def __attrs_post_init__(self) -> None:
        self._teller = Storyteller(self._flow.kind)

    @property
    def is_over(self) -> bool:
        """Whether its end was told. A flow that is retried goes on after that."""
        return self._teller.is_over

    def steps(self) -> Iterator[Step]:
        """Tell the steps that were not told yet, in order.

        Raises:
            JournalError: the database cannot be read, or the flow was purged with its name.
        """
        for _, steps in self._read():
            yield from steps

    def entries(self) -> Iterator[EntryRow]:
        """Tell instead, in order, the entries that were not told yet. Raises as `steps`."""
        for entry, _ in self._read():
            if entry is not None:
                yield entry

    def _read(self) -> Iterator[tuple[EntryRow | None, list[Step]]]:
        from holdfast_journal import Filter

        after: int | None = self._seq
        while after is not None:
            page = self._journal.history_page(self._flow.id, after=after)
            for entry in page.rows:
                self._seq = max(self._seq, entry.seq)
                yield entry, self._teller.hear(entry)
            after = page.then
        # Read after the entries: what it says of them is never too old.
        for row in self._journal.page(Filter(ids=[self._flow.id]), limit=1, opens=True).rows:
            if row.seq == self._seq:
                yield None, self._teller.settle(row)
