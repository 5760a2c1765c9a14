"""What `send` and `provision` say of wrong codes while there are more guesses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field

from holdfast.operating.standing import wrong_guesses
from holdfast_journal import FlowStatus

if TYPE_CHECKING:
    from holdfast_journal import FlowRow


@define
class Guessing:
    """Says that a code was wrong, and when the same code works again.

    Between the two a recipient who types it again would wait in vain.
    """

    _opening: set[int] = field(factory=set, init=False)

    def news(self, before: FlowRow | None, row: FlowRow) -> str | None:
        """Return what is new of a flow that has moved, or None."""
        if before is None or row.finished_at is not None:
            self._opening.discard(row.id)
            return None
        works = row.status == FlowStatus.WAITING
        guesses = wrong_guesses(row)
        if guesses != wrong_guesses(before):
            if works:
                return f"wrong code; {guesses}, and the same code works again"
            self._opening.add(row.id)
            return f"wrong code; {guesses}, and the same code opens again"
        if works and row.id in self._opening:
            self._opening.discard(row.id)
            return "the same code works again"
        return None
