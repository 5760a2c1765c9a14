"""`Tracing`: follows a journal, and sends the spans that have ended.

What was committed is in the journal, so nothing is lost if a worker or this process dies: it
remembers, in a file, how far it has followed, and writes that after everything before it was
sent. So a span may be sent twice, and is then the same span.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from holdfast.files import write_whole
from holdfast.operating.refused import Refused, because
from holdfast.telemetry.spans import Span, spans
from holdfast_journal import Filter, Seen

if TYPE_CHECKING:
    from holdfast_journal import EntryRow, FlowRow, SqlJournal

AT_ONCE: Final = 512
"""Spans that are sent together."""

VERSION: Final = 1


class NotSent(Exception):
    """The spans were not accepted; the words are for people."""


Send = Callable[[Sequence[Span]], None]
"""Sends spans. Raises NotSent."""


@define(eq=False)
class Tracing:
    """Where following a journal is, and what was sent of the flows that are not over.

    Args:
        journal: what is followed.
        memory: the file that remembers how far it got.
        send: where spans go.
    """

    _journal: SqlJournal
    _memory: Path
    _send: Send
    _seen: Seen | None = field(default=None, init=False)
    _sent: dict[int, int] = field(factory=dict, init=False)
    """How many spans of a flow were sent by this process."""

    def open(self) -> None:
        """Go on where the last process stopped; without one, begin with what happens from now on.

        Raises:
            Refused: the file cannot be read or written.
            JournalError: the database cannot be read.
        """
        try:
            known = self._memory.read_bytes()
        except FileNotFoundError:
            known = b""
        except OSError as error:
            raise because(str(self._memory), error) from None
        self._seen = self._remembered(known) if known else None
        if self._seen is None:
            _, self._seen = self._journal.moved(None)
            self._remember()

    def look(self) -> int:
        """Send what has ended since the last look; return how many spans that was.

        Raises:
            NotSent: they were not accepted; the next look sends them.
            JournalError: the database cannot be read.
            Refused: what was sent cannot be remembered.
        """
        moved, seen = self._journal.moved(self._seen)
        count, batch = 0, list[Span]()
        counts: dict[int, int] = {}
        for row in self._rows(sorted(moved)):
            before = self._sent.get(row.id, 0)
            new = list(islice(spans(row, self._entries(row)), before, None))
            counts[row.id] = 0 if row.finished_at is not None else before + len(new)
            batch += new
            while len(batch) >= AT_ONCE:
                self._send(batch[:AT_ONCE])
                del batch[:AT_ONCE]
                count += AT_ONCE
        if batch:
            self._send(batch)
        self._sent = {flow: n for flow, n in (self._sent | counts).items() if n}
        if seen != self._seen:
            self._seen = seen
            self._remember()
        return count + len(batch)

    def _rows(self, ids: Sequence[int]) -> Iterator[FlowRow]:
        for start in range(0, len(ids), AT_ONCE):
            chosen = Filter(ids=ids[start : start + AT_ONCE])
            yield from self._journal.page(chosen, limit=AT_ONCE).rows

    def _entries(self, row: FlowRow) -> Iterator[EntryRow]:
        after: int | None = 0
        while after is not None:
            page = self._journal.history_page(row.id, after=after)
            yield from page.rows
            after = page.then

    def _remembered(self, known: bytes) -> Seen | None:
        """Return what the file says; None if it is about another database."""
        try:
            match json.loads(known):
                case {
                    "version": 1,
                    "database": str() as name,
                    "entry": int() as entry,
                    "flow": int() as flow,
                    "seqs": list() as seqs,
                }:
                    pairs = {int(number): int(seq) for number, seq in seqs}
                    return Seen(entry, flow, pairs) if name == self._journal.name else None
        except (ValueError, TypeError, RecursionError):
            pass
        raise Refused(
            f"{self._memory}: this is not what Holdfast wrote there; remove it to trace what"
            " happens from now on"
        )

    def _remember(self) -> None:
        seen = self._seen
        if seen is None:
            return
        document: dict[str, Any] = {"version": VERSION, "database": self._journal.name}
        document |= {"entry": seen.entry, "flow": seen.flow, "seqs": list(seen.seqs.items())}
        try:
            write_whole(self._memory, json.dumps(document).encode())
        except OSError as error:
            raise because(str(self._memory), error) from None
