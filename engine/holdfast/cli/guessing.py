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

    _guesses: dict[int, str] = field(factory=dict, init=False)
    """What was said last, of flows with wrong guesses."""
    _opening: set[int] = field(factory=set, init=False)

    def news(self, row: FlowRow, *, first: bool) -> str | None:
        """Return what is new of a flow that has moved, or None.

        Args:
            row: the flow.
            first: whether it was not seen before: then nothing is new.
        """
        before, guesses = self._guesses.pop(row.id, None), wrong_guesses(row)
        if row.finished_at is not None:
            self._opening.discard(row.id)
            return None
        if guesses is not None:
            self._guesses[row.id] = guesses
        if first:
            return None
        works = row.status == FlowStatus.WAITING
        if guesses is not None and guesses != before:
            if works:
                return f"wrong code; {guesses}, and the same code works again"
            self._opening.add(row.id)
            return f"wrong code; {guesses}, and the same code opens again"
        if works and row.id in self._opening:
            self._opening.discard(row.id)
            return "the same code works again"
        return None
