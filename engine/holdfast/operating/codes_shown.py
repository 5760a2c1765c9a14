"""Codes are shown to an operator after that was written down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from attrs import define, field

from holdfast.operating.audit import operator
from holdfast.operating.database import Tell, existing_journal
from holdfast.operating.refused import Refused
from holdfast.operating.standing import live_code

if TYPE_CHECKING:
    from holdfast_journal import FlowRow, SqlJournal

ACTION: Final = "code shown"


@define
class CodesShown:
    """The codes that one command shows.

    Args:
        journal: where that is written down.
    """

    journal: SqlJournal
    _written: set[int] = field(factory=set, init=False)

    def write(self, rows: Iterable[FlowRow]) -> None:
        """Write down, once for each flow, that its code is about to be shown, if it has one.

        Raises:
            Refused: this cannot be written, so no code may be shown.
        """
        from holdfast_journal import JournalError

        new = {row.id for row in rows if live_code(row) is not None} - self._written
        try:
            note(self.journal, new)
        except JournalError as error:
            raise Refused(
                f"no code is shown, because that cannot be written down: {error}"
            ) from None
        self._written |= new


def note(journal: SqlJournal, flows: Iterable[int]) -> None:
    """Write down that the operator is about to see the codes of these flows."""
    if ids := sorted(flows):
        journal.note(operator().does(ACTION), *ids)


@contextmanager
def showing_codes(url: str, tell: Tell) -> Iterator[CodesShown]:
    """Open an existing database for a command that shows codes, and changes nothing else.

    A database that cannot be written is opened too; its flows can be looked at without their codes.
    Raises as `existing_journal` does for a command that only looks.
    """
    from holdfast_journal import DatabaseUnusable

    with existing_journal(url, tell, looks=True):
        pass  # one of an older release is not upgraded only to be looked at
    with ExitStack() as stack:
        try:
            journal = stack.enter_context(existing_journal(url, tell))
        except DatabaseUnusable:
            journal = stack.enter_context(existing_journal(url, tell, looks=True))
        yield CodesShown(journal)
